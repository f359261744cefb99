"""Operating points: at which similarity a pair is accepted, for each false accept rate, equal errors and each fold."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array, Breakdown, Outcome
from mlcvbench_verification.folds import FoldAccuracy
from mlcvbench_verification.pairs import NO_FOLD
from mlcvbench_verification.protocols import FOLDED, parse_protocol
from mlcvbench_verification.roc import EXPONENTS

NEGATIVE = "A pair is accepted when its similarity is at least the threshold; distances count negative"


class Operating(NamedTuple):
    """A threshold, None to accept no pair, and the shares of impostor and of genuine pairs that it accepts."""

    name: str
    threshold: float | None
    far: float
    tar: float


def operating_points(similarity: Array, same: Array) -> list[Operating]:
    """Return the points of `tar_at_far_1e-k` for each k that the pairs can show, and that of equal errors.

    The first are the lowest thresholds with at most 10^-k of the impostor pairs; equal errors are at the highest
    threshold that accepts at least as large a share of impostors as it refuses of genuine pairs.

    >>> points = operating_points(np.array([0.9, 0.8, 0.3, 0.1]), np.array([True, False, True, False]))
    >>> points[-1]
    Operating(name='equal errors', threshold=0.8, far=0.5, tar=0.5)
    """
    genuine, impostor = np.sort(similarity[same]), np.sort(similarity[~same])
    if not len(genuine) or not len(impostor):
        return []

    def at(name: str, threshold: float | None) -> Operating:
        if threshold is None:
            return Operating(name, None, 0.0, 0.0)
        far, tar = (
            (len(values) - int(np.searchsorted(values, threshold, side="left"))) / len(values)
            for values in (impostor, genuine)
        )
        return Operating(name, threshold, far, tar)

    values = np.unique(similarity)
    points = []
    for exponent in EXPONENTS:
        allowed = len(impostor) // 10**exponent
        if allowed:
            refused = impostor[len(impostor) - 1 - allowed] if allowed < len(impostor) else -np.inf
            place = int(np.searchsorted(values, refused, side="right"))
            points.append(at(f"FAR 1e-{exponent}", float(values[place]) if place < len(values) else None))
    high = bisect_left(range(len(values)), True, key=lambda place: _is_strict(at("", float(values[place]))))
    return [*points, at("equal errors", float(values[high - 1]))]


def breakdowns(outcome: Outcome) -> list[Breakdown]:
    """Return the thresholds of a table of pairs, and where they come from."""
    table = outcome.table
    if "similarity" not in table.columns:
        return []
    similarity, same = table["similarity"], table["same"]
    points = operating_points(similarity, same)
    if not points:
        return []
    found = [
        Breakdown(
            "Thresholds",
            f"{NEGATIVE}. They are chosen on the test pairs themselves, as these metrics are defined, so that other "
            "pairs will be accepted at other rates.",
            "operating point",
            [point.name for point in points],
            {
                "threshold": ("1", [point.threshold for point in points]),
                "false accepts": ("fraction", [point.far for point in points]),
                "true accepts": ("fraction", [point.tar for point in points]),
            },
        )
    ]
    folds = np.unique(table["fold"])
    if parse_protocol(outcome.protocol).family in FOLDED and len(folds) > 1 and NO_FOLD not in folds:
        chosen = FoldAccuracy(similarity, same, table["fold"]).chosen(np.ones(len(table)))
        found.append(
            Breakdown(
                "Thresholds of the folds",
                f"{NEGATIVE}. That of a fold is the most accurate on the other folds and never saw its own pairs.",
                "fold",
                [str(fold) for fold in folds.tolist()],
                {
                    "threshold": ("1", [None if np.isinf(one.threshold) else one.threshold for one in chosen]),
                    "accuracy": ("fraction", [one.accuracy for one in chosen]),
                },
            )
        )
    return found


def _is_strict(point: Operating) -> bool:
    """Return whether fewer impostors are accepted than genuine pairs refused."""
    return point.far < 1 - point.tar
