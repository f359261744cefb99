"""AdaBoost on decision stumps over Haar-like features.

Freund and Schapire 1997 in the form of Viola and Jones 2001, table 1. A round chooses the stump with the least weighted
error eps, raises the weights of its mistakes by beta = (1 - eps) / eps, and gives it alpha = ln beta votes. (The
paper's beta is the reciprocal, which lowers the weights of what is right: after normalising they are the same.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mlcvbench.contract import Array
from mlcvbench_viola_jones.features import Features, look_ups, window_integrals

BLOCK = 1 << 16
"""Numbers of a block of features x patches: few enough to stay in a processor's cache."""
MEMORY = 1 << 30
"""Bytes that the order of the patches along all features may take."""
_TIE = 1e-12
"""Errors that differ by less are equal: sums of the same weights differ in their last bits by the order of adding."""
_LEAST = 1e-10
"""A stump without mistakes counts as one with this error, so that its votes are a number."""


@dataclass(frozen=True, slots=True)
class Stump:
    """A vote: `left` where feature `feature` is below `threshold`, `right` elsewhere; float32 values."""

    feature: int
    threshold: np.float32
    left: np.float32
    right: np.float32
    error: float

    def vote(self, values: Array) -> Array:
        """Return the votes float32 for a feature's values float32."""
        return np.where(values < self.threshold, self.left, self.right)


def most_features(patches: int) -> int:
    """Return how many features can be kept in order for so many patches within `MEMORY`."""
    return max(1, MEMORY // (patches * (np.dtype(_index(patches)).itemsize + 1)))


class Ordered:
    """Patches in the order of each feature: sorted once, and gone through once for each stump."""

    def __init__(self, features: Features, patches: Array, step: Callable[[], None] = lambda: None) -> None:
        """Sort `patches` uint8 (N, h, w) along each of the features; `step` is called from time to time."""
        height, width = patches.shape[1:]
        self.features = features
        self._integrals, self._factor = window_integrals(patches)
        self._matrix = look_ups(features, width, height)
        self._blocks: list[tuple[Array, Array]] = []
        for values in self._in_blocks():
            order = np.argsort(values, axis=1, kind="stable")
            ordered = np.take_along_axis(values, order, axis=1)
            # between equal values there is no threshold
            self._blocks.append((order.astype(_index(len(patches))), ordered[:, 1:] > ordered[:, :-1]))
            step()

    def values(self, feature: int) -> Array:
        """Return a feature of all patches, float32 (N,)."""
        values: Array = (self._matrix[feature] @ self._integrals).ravel() * self._factor
        return values

    def _in_blocks(self) -> Iterator[Array]:
        rows = max(1, BLOCK // len(self._factor))
        for first in range(0, len(self.features), rows):
            yield self._matrix[first : first + rows] @ self._integrals * self._factor

    def best(self, signs: Array, weights: Array) -> Stump | None:
        """Return the stump of votes -1 and 1 with the least weighted error; None where no threshold helps.

        `signs` +1 or -1 (N,), `weights` float64 (N,) that sum to 1. Of equally good stumps the one of the first feature
        and the lowest threshold is taken.
        """
        signed = weights * signs
        negative = float(weights[signs < 0].sum())
        least, place, rises = min(negative, 1 - negative), None, True
        first = 0
        for order, between in self._blocks:
            # the error of "below: -1, from here on: 1" is `negative` + the sum of the signed weights below
            below = np.cumsum(signed[order.astype(np.intp)], axis=1)[:, :-1] * between
            ups, downs = negative + below.min(initial=0.0), 1 - negative - below.max(initial=0.0)
            if min(ups, downs) < least - _TIE:
                least = float(min(ups, downs))
                as_good = (negative + below <= least + _TIE) | (1 - negative - below <= least + _TIE)
                row, column = divmod(int(as_good.argmax()), below.shape[1])
                rises = bool(negative + below[row, column] <= least + _TIE)
                place = first + row, column, order[row]
            first += len(order)
        if place is None:
            return None
        feature, column, own = place
        values = self.values(feature)[own]
        side = np.float32(1 if rises else -1)
        return Stump(feature, _between(values[column], values[column + 1]), -side, side, max(least, 0.0))


def _index(patches: int) -> type[np.unsignedinteger]:
    return np.uint16 if patches <= 1 << 16 else np.uint32


def _between(low: np.float32, high: np.float32) -> np.float32:
    """Return a threshold with low < threshold <= high."""
    middle = np.float32((np.float64(low) + np.float64(high)) / 2)
    return middle if middle > low else high


class AdaBoost:
    """Rounds of boosting: `stumps` with their votes, and `scores` float64 (N,), the sum of the votes for each patch."""

    def __init__(self, ordered: Ordered, signs: Array, weights: Array) -> None:
        """Begin with `weights` (N,) of the patches; `signs` +1 or -1 (N,)."""
        self._ordered, self._signs = ordered, signs
        self.weights = weights / weights.sum()
        self.stumps: list[Stump] = []
        self.scores = np.zeros(len(signs))
        self.ended = False

    def round(self) -> Stump | None:
        """Add a stump and return it; None when there is none better than chance, or the last one made no mistake."""
        best = None if self.ended else self._ordered.best(self._signs, self.weights)
        if best is None:
            self.ended = True
            return None
        self.ended = best.error < _LEAST
        error = max(best.error, _LEAST)
        beta = (1 - error) / error
        alpha = np.float32(np.log(beta))
        stump = Stump(best.feature, best.threshold, best.left * alpha, best.right * alpha, best.error)
        votes = stump.vote(self._ordered.values(stump.feature))
        self.weights = np.where(votes * self._signs < 0, self.weights * beta, self.weights)
        self.weights /= self.weights.sum()
        self.scores += votes
        self.stumps.append(stump)
        return stump


def halves(signs: Array) -> Array:
    """Return weights float64 (N,) that give half of the total to each side, as Viola and Jones begin."""
    weights: Array = np.where(signs > 0, 0.5 / max(1, (signs > 0).sum()), 0.5 / max(1, (signs < 0).sum()))
    return weights
