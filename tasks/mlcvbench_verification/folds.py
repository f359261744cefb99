"""Cross-validated accuracy: the threshold of a fold is chosen on the other folds, never on its own pairs.

Candidates are "accept none" and the similarities of the training pairs, a pair being accepted when its similarity is at
least the threshold. The one with the highest training accuracy counts; among equal ones the highest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array


class Chosen(NamedTuple):
    """The threshold of a fold, infinite to accept none, and the accuracy on its pairs."""

    threshold: float
    accuracy: float


class FoldAccuracy:
    """Mean accuracy over folds, under weights of the pairs; sorting is done once."""

    def __init__(self, similarity: Array, same: Array, fold: Array) -> None:
        values, place = np.unique(similarity, return_inverse=True)
        self._values, self._count = values, len(values)
        self._step = (len(values) - 1 - place).astype(np.int64)  # 0 = the highest similarity
        self._sign = np.where(same, 1.0, -1.0)
        self._folds = [np.flatnonzero(fold == number) for number in np.unique(fold)]

    def mean(self, weights: Array) -> float:
        """Return the mean over the folds that have weight, NaN with fewer than two.

        Args:
            weights: float64 (P,), one per pair; integers give exact sums.

        """
        right = [one.accuracy for one in self.chosen(weights)]
        return float(np.mean(right)) if len(right) > 1 else float("nan")

    def chosen(self, weights: Array) -> list[Chosen]:
        """Return what was chosen for each fold that has weight, in order."""
        gains, impostors, totals = [], [], []
        for rows in self._folds:
            signed = weights[rows] * self._sign[rows]
            gain = np.bincount(self._step[rows], signed, self._count)
            gains.append(np.concatenate([[0.0], np.cumsum(gain)]))  # right answers won by accepting down to a value
            impostors.append(-signed[signed < 0].sum())
            totals.append(weights[rows].sum())
        everything = np.sum(gains, axis=0)
        found = []
        for gain, impostor, total in zip(gains, impostors, totals, strict=True):
            if total > 0:
                steps = int(np.argmax(everything - gain))  # the first maximum is the highest threshold
                threshold = float(self._values[-steps]) if steps else np.inf
                found.append(Chosen(threshold, float((impostor + gain[steps]) / total)))
        return found
