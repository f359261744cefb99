"""Latency ranks: the ranks that a row's latency can have, from the medians of its processes.

Only rows timed in several processes (`time=publish`) take part, and only against rows of the same hardware: the spread
within one process is far too small. All pairs are tested together by Welch's t-test on log medians, with Bonferroni
correction (Welch 1947).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, variance

from mlcvbench.leaderboard.standing.rows import BoardRow, Cell
from mlcvbench.records.stages import HEADLINE
from mlcvbench.stats.intervals import LEVEL, t_quantile

NAME = "latency_rank"
FEWEST = 3
"""Least number of processes for estimating a spread."""
NOT_TIMED_SO = "only rows timed with time=publish, in several processes, are ranked by latency"


def with_latency_ranks(rows: Sequence[BoardRow]) -> list[BoardRow]:
    """Return the rows with the cost `latency_rank`: 1 + surely faster rows, up to R - surely slower ones."""
    groups: dict[str, list[tuple[BoardRow, list[float]]]] = defaultdict(list)
    for row in rows:
        if len(medians := log_medians(row)) >= FEWEST:
            groups[row.env_class].append((row, medians))
    cells: dict[str, Cell] = {}
    for group in groups.values():
        samples = [medians for _, medians in group]
        for (row, _), (low, high) in zip(group, rank_ranges(samples), strict=True):
            cells[row.key] = Cell(float(low), float(low), float(high))
    absent = Cell(None, reason=NOT_TIMED_SO)
    return [replace(row, costs={**row.costs, NAME: cells.get(row.key, absent)}) for row in rows]


def log_medians(row: BoardRow) -> list[float]:
    """Return the logarithms of the end-to-end medians of all processes and seeds of a row."""
    stages = [entry.record.latency.get(HEADLINE) for entry in row.runs]
    return [math.log(median) for stage in stages if stage for median in stage.process_medians if median > 0]


def rank_ranges(samples: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Return lowest and highest possible rank of each sample, 1 = smallest, at simultaneous level `LEVEL`.

    >>> rank_ranges([[1.0, 1.1, 0.9], [1.05, 0.95, 1.0], [9.0, 9.1, 9.05]])
    [(1, 2), (1, 2), (3, 3)]
    """
    count = len(samples)
    pairs = max(1, count * (count - 1) // 2)
    smaller = [[_surely_below(a, b, pairs) for b in samples] for a in samples]
    return [
        (1 + sum(smaller[j][i] for j in range(count)), count - sum(smaller[i][j] for j in range(count)))
        for i in range(count)
    ]


def _surely_below(a: Sequence[float], b: Sequence[float], pairs: int) -> bool:
    difference = fmean(b) - fmean(a)
    if difference <= 0:
        return False
    parts = [variance(sample) / len(sample) for sample in (a, b)]
    if not sum(parts):
        return True
    freedom = sum(parts) ** 2 / sum(p**2 / (len(s) - 1) for p, s in zip(parts, (a, b), strict=True))
    return difference > t_quantile(1 - (1 - LEVEL) / 2 / pairs, freedom) * math.sqrt(sum(parts))
