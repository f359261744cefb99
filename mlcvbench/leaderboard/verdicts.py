"""The findings of `leaderboard verify`, kept as `verified.json` beside the runs and read by `leaderboard build`.

A verdict counts only for the exact bytes of its record (their sha256 is in the report): a record that is changed
afterwards loses its verdict. Records themselves stay as committed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlcvbench.errors import RecordError
from mlcvbench.limits import MAX_RECORD_BYTES
from mlcvbench.storage.durable import replace_text

REPORT_FILE = "verified.json"
REPORT_SCHEMA = 1
RECOMPUTED, CHECKED, FAILED = "recomputed", "checked", "failed"
"""Verdicts; `checked`: nothing is wrong, but there were no predictions to recompute from."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Ids of runs whose metrics were recomputed bit for bit, and of those that failed a check, with the reason."""

    recomputed: frozenset[str] = frozenset()
    refuted: dict[str, str] = field(default_factory=dict)


def record_digest(folder: Path) -> str | None:
    """Return the sha256 of a run's `record.json`, None when it cannot be read."""
    path = folder / "record.json"
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.stat().st_size <= MAX_RECORD_BYTES else None
    except OSError:
        return None


def read_report(runs: Path) -> Verdicts:
    """Return the verdicts that still hold for the records in `runs`; RecordError when the report is damaged."""
    path = runs / REPORT_FILE
    if not path.is_file():
        return Verdicts()
    verdicts = _verdicts(path)
    valid = {run: verdict for run, verdict in verdicts.items() if verdict["record"] == record_digest(runs / run)}
    return Verdicts(
        recomputed=frozenset(run for run, verdict in valid.items() if verdict["verdict"] == RECOMPUTED),
        refuted={run: verdict["reason"] for run, verdict in valid.items() if verdict["verdict"] == FAILED},
    )


def write_report(runs: Path, verdicts: Mapping[str, Mapping[str, str]]) -> Path:
    """Write {run id: {record, verdict, reason}} and return the path; equal verdicts give equal bytes."""
    plain: dict[str, Any] = {"schema_version": REPORT_SCHEMA, "runs": {run: dict(verdicts[run]) for run in verdicts}}
    replace_text(runs / REPORT_FILE, json.dumps(plain, indent=1, sort_keys=True) + "\n")
    return runs / REPORT_FILE


def _verdicts(path: Path) -> dict[str, dict[str, str]]:
    try:
        if path.stat().st_size > MAX_RECORD_BYTES:
            raise ValueError("it is too large")
        runs = json.loads(path.read_bytes())["runs"]
        return {
            str(run): {name: str(verdict[name]) for name in ("record", "verdict", "reason")}
            for run, verdict in runs.items()
            if "/" not in run and not run.startswith(".")
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RecordError(
            f"{str(path)!r} is not a verification report ({error}); run `mlcvbench leaderboard verify` again."
        ) from None
