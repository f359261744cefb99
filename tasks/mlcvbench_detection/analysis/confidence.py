"""Precision, recall and F1 at every confidence, from the rows of any detection protocol, at IoU 0.5."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlcvbench.contract import Array, Table
from mlcvbench_detection.analysis.curves import Outcomes, outcomes


@dataclass(frozen=True, slots=True)
class Operating:
    """What is found when detections below a score are dropped, at each score that occurs, the highest first.

    `score`, `true`, `shown` float64 (S,): detections of this score or more, and the true ones among them; `wanted`: the
    annotations to find.
    """

    score: Array
    true: Array
    shown: Array
    wanted: int

    @property
    def precision(self) -> Array:
        """The share of the detections that are true (S,)."""
        ratio: Array = self.true / self.shown
        return ratio

    @property
    def recall(self) -> Array:
        """The share of the annotations that are found (S,), 0 where there are none."""
        ratio: Array = self.true / max(self.wanted, 1)
        return ratio

    @property
    def f1(self) -> Array:
        """The harmonic mean of both (S,)."""
        mean: Array = 2 * self.true / (self.shown + self.wanted)
        return mean

    @property
    def best(self) -> int | None:
        """The index of the highest F1, the highest score of equal ones; None without a true detection."""
        return int(np.argmax(self.f1)) if self.true.any() else None

    @property
    def best_score(self) -> float:
        """The score at the best F1; 0 without a true detection."""
        return 0.0 if self.best is None else float(self.score[self.best])


def operating(table: Table, label: int | None = None) -> Operating:
    """Return the operating points of one class, or of all together, where detections of all classes count alike."""
    return _points(table, outcomes(table), label)


def operating_by_class(table: Table, classes: int) -> list[Operating]:
    """Return the operating points of each class."""
    found = outcomes(table)
    return [_points(table, found, label) for label in range(classes)]


def _points(table: Table, found: Outcomes, label: int | None) -> Operating:
    parts = (found.true, found.false, found.found, found.missed)
    if label is not None:
        parts = tuple(rows[table["category"][rows] == label] for rows in parts)
    true, false, hit, missed = parts
    score = np.concatenate([table["score"][true], table["score"][false]])
    order = np.argsort(-score, kind="stable")
    score = score[order]
    last = np.flatnonzero(np.append(score[1:] != score[:-1], True)) if len(score) else np.zeros(0, np.int64)
    hits = np.cumsum(np.repeat([1.0, 0.0], [len(true), len(false)])[order])
    return Operating(score[last], hits[last], last + 1.0, len(hit) + len(missed))
