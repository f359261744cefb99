"""A record on one screen, as a Python session prints it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from mlcvbench.records.display import Fact, rows

if TYPE_CHECKING:  # imported by the schema to show its records
    from mlcvbench.records.schema import Record

LINES, WIDTH = 24, 80
MOST = {"run": 7, "error": 1, "retracted": 1, "notices": 2, "doubts": 2, "metrics": 5, "latency": 1, "cost": 3}
COUNTED = ("notices", "doubts", "metrics")
"""Lines of each part of a record; other parts are left out. Parts in `COUNTED` state how many more there are."""


def to_summary(record: Record) -> str:
    """Return at most 24 lines of at most 80 columns: the run, its failure or notices, metrics and main costs."""
    lines = ["Record"]
    lines += [
        _clipped(f"{f'{name:<20} ' if name else ''}{' '.join(value.split())}")
        for part, group in groupby(rows(record), key=lambda row: row[0])
        for name, value in _first(part, list(group))
    ]
    return "\n".join(lines if len(lines) <= LINES else [*lines[: LINES - 1], "..."])


def _first(part: str, found: list[Fact]) -> Iterator[tuple[str, str]]:
    """Yield the first rows of a part, and how many more there are."""
    most = MOST.get(part, 0)
    for _, name, value in found[:most]:
        yield name, value
    if len(found) > most and part in COUNTED:
        yield "", f"... and {len(found) - most} more {part}"


def _clipped(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."
