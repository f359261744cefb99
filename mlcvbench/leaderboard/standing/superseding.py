"""Which runs are replaced by a later run of the same request: code or libraries changed, or an attempt failed.

Predictions made elsewhere are identified by their name: a later submission replaces an earlier one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from mlcvbench.leaderboard.standing.rows import StoredRun
from mlcvbench.plan.same_request import RequestIdentity, age, request_of
from mlcvbench.records.schema import PREDICTIONS, Record


def drop_failed_attempts(entries: Iterable[StoredRun]) -> list[StoredRun]:
    """Drop failed attempts at a request that succeeded later, or under the same key at any time."""
    kept = list(entries)
    done = {entry.record.run_key for entry in kept if entry.record.status == "ok"}
    failed = [entry.record for entry in kept if entry.record.status != "ok"]
    if not failed:
        return kept
    succeeded: dict[RequestIdentity, str] = {}
    for record in (entry.record for entry in kept if entry.record.status == "ok"):
        request = request_of(record)
        succeeded[request] = max(succeeded.get(request, ""), record.created_utc)
    gone = {
        record.run_id
        for record in failed
        if record.run_key in done or succeeded.get(request_of(record), "") > record.created_utc
    }
    return [entry for entry in kept if entry.record.run_id not in gone]


def replaced(records: Iterable[Record]) -> dict[str, str]:
    """Return run id -> reason for every ok run that a newer one of the same request on the same hardware replaces.

    Retracted runs, and runs evaluated inside another process, replace none.
    """
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        if record.status == "ok" and record.isolated and record.retraction is None:
            groups[record.model.name, record.env_class].append(record)
    reasons: dict[str, str] = {}
    for group in groups.values():
        reasons |= _replaced_within(group) if len(group) > 1 else {}
    return reasons


def _replaced_within(records: list[Record]) -> dict[str, str]:
    same: dict[RequestIdentity, list[Record]] = defaultdict(list)
    for record in records:
        same[request_of(record)].append(record)
    reasons = {}
    for runs in same.values():
        *older, newest = sorted(runs, key=age)
        for record in older:
            handed_in = newest.model.plugin == PREDICTIONS
            why = "it was submitted later" if handed_in else "its code, data or libraries are newer"
            reasons[record.run_id] = f"replaced by {newest.run_id}: {why}"
    return reasons
