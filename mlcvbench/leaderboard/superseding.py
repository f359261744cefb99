"""Which runs a later run of the same request replaces: code or libraries changed, or an attempt failed before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from mlcvbench.leaderboard.rows import Entry
from mlcvbench.records.schema import Record
from mlcvbench.run_key import DISPLAY

WITHOUT_EFFECT = ("given", "seconds", "memory_mb", "strict")
Request = tuple[str, str, str, int, str]


def drop_failed_attempts(entries: Iterable[Entry]) -> list[Entry]:
    """Leave out failed attempts at a request that was carried out since, or under the same key at any time."""
    kept = list(entries)
    done = {entry.record.run_key for entry in kept if entry.record.status == "ok"}
    failed = [entry.record for entry in kept if entry.record.status != "ok"]
    if not failed:
        return kept
    succeeded: dict[Request, str] = {}
    for record in (entry.record for entry in kept if entry.record.status == "ok"):
        request = _request(record)
        succeeded[request] = max(succeeded.get(request, ""), record.created_utc)
    gone = {
        record.run_id
        for record in failed
        if record.run_key in done or succeeded.get(_request(record), "") > record.created_utc
    }
    return [entry for entry in kept if entry.record.run_id not in gone]


def replaced(records: Iterable[Record]) -> dict[str, str]:
    """Return run id -> reason of every ok run that a newer one of the same request on the same hardware replaces."""
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        if record.status == "ok":
            groups[record.model.name, record.env_class].append(record)
    reasons: dict[str, str] = {}
    for group in groups.values():
        reasons |= _replaced_within(group) if len(group) > 1 else {}
    return reasons


def _replaced_within(records: list[Record]) -> dict[str, str]:
    same: dict[Request, list[Record]] = defaultdict(list)
    for record in records:
        same[_request(record)].append(record)
    reasons = {}
    for runs in same.values():
        *older, newest = sorted(runs, key=lambda record: (record.created_utc, record.run_id))
        for record in older:
            reasons[record.run_id] = f"replaced by {newest.run_id}: its code, data or libraries are newer"
    return reasons


def _request(record: Record) -> Request:
    """Return what was asked for: the definition, the model, the seed and every setting that has an effect."""
    settings = {name: value for name, value in record.config.items() if name not in WITHOUT_EFFECT}
    definition = settings.pop("definition", None) or {}
    settings |= {f"definition.{name}": value for name, value in definition.items() if name not in DISPLAY}
    task = record.task
    return task.definition, task.protocol_id, record.model.name, record.seed, repr(sorted(settings.items(), key=str))
