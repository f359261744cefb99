"""Precision, recall and F1 at every confidence, from the rows of any detection protocol, at IoU 0.5.

The best confidence is chosen on validation images where the run predicted some, else on the test images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlcvbench.contract import Array, Outcome, Table
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

    def at(self, least: float) -> int | None:
        """Return the index of the detections with at least this score; None where there are none."""
        count = int((self.score >= least).sum())
        return count - 1 if count else None


@dataclass(frozen=True, slots=True)
class Confidence:
    """The score from which detections count: of all classes together, and `own` (K,) of each; `said`: its origin."""

    every: float
    own: Sequence[float]
    said: str


def confidence_of(outcome: Outcome) -> Confidence:
    """Return the score with the best F1, on validation images where there are some with a true detection.

    A class without one has the score of all together.
    """
    held = outcome.held_out
    if held is not None and operating(held.table).best is not None:
        table = held.table
        said = f"The confidence is the best on {held.samples} validation images, none of which was trained on"
    else:
        table = outcome.table
        said = "The confidence is the best on the test images themselves, so what it gives elsewhere is lower"
    every = operating(table).best_score
    own = operating_by_class(table, len(outcome.problem.classes))
    return Confidence(every, [every if one.best is None else one.best_score for one in own], said)


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
