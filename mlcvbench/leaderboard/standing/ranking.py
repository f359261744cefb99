"""Ranking: rank intervals, tie bands and the Pareto front of a board's rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from mlcvbench.errors import RecordError
from mlcvbench.leaderboard.standing.rows import BoardRow, Cell, finite
from mlcvbench.stats import bootstrap, intervals
from mlcvbench.stats.bootstrap import REPLICATES_FILE, Floats
from mlcvbench.stats.ranks import rank_intervals

SAME_SPEED = 1.2
"""Times within this factor of the fastest count as equal: seeds of one row differ by up to 7 % on a quiet machine."""


def rank(rows: Sequence[BoardRow], primary: str, higher_is_better: bool) -> tuple[list[BoardRow], str]:
    """Return the rows in board order with rank intervals, bands and front marks, and how ranks were tested.

    Order: by band; within a band the faster row first, by score where times are equal; rows without replicates are
    placed by their score and have no rank interval.
    """
    measured = [_measured(row, primary) for row in rows]
    rows, samples = [row for row, _ in measured], [sample for _, sample in measured]
    made = [None if sample is None else _drawn(row, sample) for row, sample in zip(rows, samples, strict=True)]
    ways = Counter(way for way in made if way is not None)
    usual = max(ways, key=lambda way: (ways[way], way), default=None)
    tested = [index for index, way in enumerate(made) if way is not None and way == usual]
    method = "none"
    if tested:
        values = np.array([rows[index].metrics[primary].value for index in tested], dtype=np.float64)
        draws = np.stack([sample for index in tested if (sample := samples[index]) is not None])
        known = [count for row in rows if (count := row.record.intervals.get("groups")) is not None]
        groups = min(known, default=None)
        ranks = rank_intervals(values, draws, higher_is_better, groups=groups)
        method = ranks.method
        for place, index in enumerate(tested):
            rows[index] = replace(
                rows[index],
                rank_low=int(ranks.low[place]),
                rank_high=int(ranks.high[place]) + len(rows) - len(tested),
                band=int(ranks.band[place]),
            )
    return mark_front(in_order(rows, primary, higher_is_better), primary, higher_is_better), method


def _replicates(row: BoardRow, metrics: Collection[str]) -> dict[str, Floats]:
    """Return the replicates of the row's means over seeds by metric; a metric that some seed lacks is left out.

    A damaged file counts as absent: `leaderboard verify` names it, the board shows the row without interval.
    """
    parts = []
    for entry in row.runs:
        path = entry.folder / REPLICATES_FILE
        if REPLICATES_FILE not in entry.record.artifacts:
            return {}
        try:
            parts.append(bootstrap.load_replicates(path, metrics))
        except RecordError:
            return {}
    if len(parts) == 1:
        return parts[0]
    seed = bootstrap.seed_from(row.key, "seeds")
    names = sorted(set.intersection(*(set(part) for part in parts)))
    if len({len(part[name]) for part in parts for name in names}) != 1:
        return {}
    stacked = np.array([[part[name] for name in names] for part in parts])  # (seeds, metrics, n)
    return dict(zip(names, bootstrap.hierarchical(stacked, seed), strict=True))


def _drawn(row: BoardRow, sample: Floats) -> tuple[int, int]:
    """Return how a row's replicates were drawn, how many and in how many bundles; only their like can be subtracted."""
    return len(sample), row.record.intervals.get("bundles") or 0


def _measured(row: BoardRow, primary: str) -> tuple[BoardRow, Floats | None]:
    """Return the row and its replicates of the primary metric.

    A row of several seeds gets the intervals of its means here; a row of one seed has them from its record.
    """
    samples = _replicates(row, row.metrics if len(row.runs) > 1 else {primary})
    if len(row.runs) > 1:
        known = {
            name: samples[name] for name, cell in row.metrics.items() if cell.value is not None and name in samples
        }
        metrics = {name: _interval(row, name, values) for name, values in known.items()}
        row = replace(row, metrics={**row.metrics, **metrics})
    sample = samples.get(primary)
    if sample is None or not np.isfinite(sample).any():  # one sample cannot be resampled: its spread is unknown
        return row, None
    return row, sample


def _interval(row: BoardRow, name: str, samples: Floats) -> Cell:
    """Return the mean over seeds with its interval, without one when the records do not state what was resampled."""
    value, records = row.metrics[name].value, [entry.record for entry in row.runs]
    seeds = [known for record in records if (known := record.metrics[name].value) is not None]
    groups = records[0].intervals.get("groups")
    if groups is None or any(record.intervals.get("groups") != groups for record in records):
        return Cell(value)
    fraction = records[0].metrics[name].unit == "fraction"
    return Cell(value, *intervals.interval(value, samples, groups, fraction=fraction, seeds=seeds))


def in_order(rows: Sequence[BoardRow], primary: str, higher_is_better: bool) -> list[BoardRow]:
    """Return rows by band, within a band the faster first, rows of about equal speed by score.

    A row without a band is placed after the last band that beats it.
    """
    sign = -1.0 if higher_is_better else 1.0

    def loss(row: BoardRow) -> float:
        value = row.metrics[primary].value
        return sign * value if value is not None else float("inf")

    leaders: dict[int, float] = defaultdict(lambda: float("inf"))
    for row in rows:
        if row.band is not None:
            leaders[row.band] = min(leaders[row.band], loss(row))
    speeds = _speeds(rows)

    def key(row: BoardRow) -> tuple[float, int, float, float, str]:
        if row.band is not None:
            return (row.band, 0, speeds[row.key], loss(row), row.key)
        return (max((b for b, best in leaders.items() if best <= loss(row)), default=-1), 1, loss(row), 0.0, row.key)

    return sorted(rows, key=key)


def _speeds(rows: Sequence[BoardRow]) -> dict[str, float]:
    """Return for each row the fastest about equal time of its band and hardware; infinity without a time."""
    speeds: dict[str, float] = {}
    fastest: dict[tuple[int | None, str], float] = {}
    for row in sorted(rows, key=_time):
        place, time = (row.band, row.env_class), _time(row)
        if time > SAME_SPEED * fastest.setdefault(place, time):
            fastest[place] = time
        speeds[row.key] = fastest[place]
    return speeds


def _time(row: BoardRow) -> float:
    time = row.costs["p50"].value
    return time if time is not None else float("inf")


def mark_front(rows: Sequence[BoardRow], primary: str, higher_is_better: bool) -> list[BoardRow]:
    """Return the rows with `front` and `near_front` set, hardware by hardware: score against p50, point values."""
    sign = 1.0 if higher_is_better else -1.0
    by_hardware: dict[str, list[BoardRow]] = defaultdict(list)
    for row in rows:
        if finite(row.costs["p50"].value):
            by_hardware[row.env_class].append(row)
    marks: dict[str, tuple[bool, bool]] = {}
    for group in by_hardware.values():
        best = best_reach = -np.inf
        for row in sorted(group, key=lambda row: (row.costs["p50"].value, -sign * (row.metrics[primary].value or 0))):
            cell = row.metrics[primary]
            score = sign * (cell.value if cell.value is not None else -np.inf)
            edge = cell.high if higher_is_better else cell.low
            reach = sign * edge if edge is not None else score
            marks[row.key] = (score > best, score <= best and reach >= best_reach)
            if score > best:
                best, best_reach = score, score
    nothing = (False, False)
    return [
        replace(row, front=marks[row.key][0], near_front=marks[row.key][1])
        if marks.get(row.key, nothing) != nothing
        else row
        for row in rows
    ]
