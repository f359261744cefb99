"""`leaderboard retract`: retract a run, and undo that. Nothing is deleted: a retracted run is a row with a reason.

Only the record's field `retraction` changes, so that undoing it restores the record byte for byte. Its predictions are
kept, and `leaderboard verify` still checks them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from mlcvbench.errors import RequestError
from mlcvbench.records.canonical import read_raw
from mlcvbench.records.schema import Record, Retraction
from mlcvbench.records.store import Store

LONGEST_REASON = 300


def retract(record: Record, folder: Path, reason: str) -> Retraction:
    """Mark a stored run as retracted today, with a one-line reason. RequestError when it cannot be."""
    reason = reason.strip()
    if not reason or not reason.isprintable() or len(reason) > LONGEST_REASON:
        raise RequestError(f"reason={reason[:80]!r}: wanted one line of text, at most {LONGEST_REASON} characters.")
    if record.retraction is not None:
        said = f"{record.retraction.date} ({record.retraction.reason})"
        raise RequestError(f"run {record.run_id!r} was retracted on {said}; say undo=on first to give another reason.")
    if record.status != "ok":
        raise RequestError(f"run {record.run_id!r} has status {record.status!r}: no board ranks it, nor could it.")
    made = Retraction(date=datetime.now(UTC).date().isoformat(), reason=reason)
    _store(folder, made)
    return made


def restore(record: Record, folder: Path) -> None:
    """Undo a retraction. RequestError when there is none."""
    if record.retraction is None:
        raise RequestError(f"run {record.run_id!r} is not retracted, so there is nothing to undo.")
    _store(folder, None)


def _store(folder: Path, retraction: Retraction | None) -> None:
    plain = None if retraction is None else retraction.model_dump()
    Store(folder.parent).replace_raw({**read_raw(folder), "retraction": plain})
