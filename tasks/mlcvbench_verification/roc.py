"""ROC numbers of scored pairs, exact with ties: two value sorts, no argsort, no curve in memory.

A threshold t accepts the pairs with similarity >= t. FAR is the accepted share of impostor pairs, FRR the refused share
of genuine pairs, TAR = 1 - FRR.

- `auc`: share of (genuine, impostor) combinations in which the genuine pair is more similar, ties counting half.
- `tar_at_far_1e-k`: the largest TAR of a threshold with FAR <= 10^-k, undefined with fewer than 10^k impostor pairs.
- `eer`: where FAR = FRR on the ROC, whose points are joined by lines.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array

_BLOCK, _LOOKUP = 1 << 18, 1 << 12
"""Pairs gathered, and sorted pairs looked up, at once; any numbers give the same values."""
EXPONENTS = (1, 2, 3, 4, 5, 6)
NAMES = ("auc", "eer", *(f"tar_at_far_1e-{k}" for k in EXPONENTS))


class Point(NamedTuple):
    """An operating point: counts (or weights) of impostor pairs accepted and of genuine pairs refused, as shares."""

    far: float
    frr: float


REFUSE_ALL = Point(0.0, 1.0)


def crossing(before: Point, after: Point) -> float:
    """Return FAR where the line from `before` (FAR < FRR) to `after` (FAR >= FRR) meets FAR = FRR."""
    rise, fall = before.frr - before.far, after.far - after.frr
    return before.far + rise / (rise + fall) * (after.far - before.far)


def roc_numbers(similarity: Array, same: Array) -> dict[str, float]:
    """Return auc, eer and the tar_at_far of all pairs with weight 1, NaN where undefined.

    Args:
        similarity: float (P,), finite.
        same: bool (P,), True for genuine pairs.

    >>> numbers = roc_numbers(np.array([0.9, 0.8, 0.3, 0.1]), np.array([True, False, True, False]))
    >>> numbers["auc"], numbers["eer"]
    (0.75, 0.5)

    """
    lists = _sorted_lists(similarity, same)
    if lists is None:
        return dict.fromkeys(NAMES, np.nan)
    numbers = {"auc": _auc(lists), "eer": _eer(lists)}
    for exponent in EXPONENTS:
        allowed = lists.rivals // 10**exponent
        numbers[f"tar_at_far_1e-{exponent}"] = _tar(lists, allowed) if allowed else np.nan
    return numbers


class _Lists(NamedTuple):
    """Sorted similarities: of all genuine pairs, and of those of the `rivals` impostor pairs that reach the lowest.

    An impostor pair below every genuine pair loses against all of them, and no threshold down there is of interest.
    """

    genuine: Array
    impostor: Array
    rivals: int


def _sorted_lists(similarity: Array, same: Array) -> _Lists | None:
    """Return the sorted lists, None when there are pairs of one kind only."""
    genuine = _chosen(similarity, same)
    rivals = len(similarity) - len(genuine)
    if not len(genuine) or not rivals:
        return None
    genuine.sort()
    reaching = similarity >= genuine[0]
    np.greater(reaching, same, out=reaching)  # and not genuine
    impostor = _chosen(similarity, reaching)
    impostor.sort()
    return _Lists(genuine, impostor, rivals)


def _chosen(values: Array, mask: Array) -> Array:
    """Return `values[mask]` in a quarter of its time: places are found block by block, so few are held at once."""
    chosen = np.empty(np.count_nonzero(mask), dtype=values.dtype)
    end = 0
    for first in range(0, len(values), _BLOCK):
        block = slice(first, first + _BLOCK)
        places = np.flatnonzero(mask[block])
        values[block].take(places, out=chosen[end : end + len(places)], mode="clip")  # "raise" would buffer `out`
        end += len(places)
    return chosen


def _tar(lists: _Lists, allowed: int) -> float:
    """Return the share of genuine pairs above the impostor pair with `allowed` others above it."""
    place = len(lists.impostor) - 1 - allowed
    if place < 0:
        return 1.0
    refused = int(np.searchsorted(lists.genuine, lists.impostor[place], side="right"))
    return (len(lists.genuine) - refused) / len(lists.genuine)


def _auc(lists: _Lists) -> float:
    """Return the share of combinations won; the shorter list is looked up in the longer one."""
    genuine, impostor, rivals = lists
    if len(genuine) <= len(impostor):
        twice = _twice_below(genuine, impostor)
    else:
        twice = 2 * len(genuine) * len(impostor) - _twice_below(impostor, genuine)
    twice += 2 * len(genuine) * (rivals - len(impostor))
    return twice / 2 / (len(genuine) * rivals)


def _twice_below(values: Array, others: Array) -> int:
    """Return, summed over sorted `values`, twice how many of the sorted `others` are below, and how many are equal.

    A block of values falls into a short stretch of the others, which stays in the cache; ties are looked up again.
    """
    total = 0
    for first in range(0, len(values), _LOOKUP):
        block = values[first : first + _LOOKUP]
        start = int(np.searchsorted(others, block[0], side="left"))
        stretch = others[start : int(np.searchsorted(others, block[-1], side="right"))]
        below = np.searchsorted(stretch, block, side="left")
        total += 2 * (start * len(block) + int(below.sum()))
        if len(stretch):
            tied = stretch.take(below, mode="clip") == block
            if tied.any():
                total += int(np.searchsorted(stretch, block[tied], side="right").sum()) - int(below[tied].sum())
    return total


def _point(lists: _Lists, threshold: float) -> Point:
    refused = int(np.searchsorted(lists.genuine, threshold, side="left"))
    accepted = len(lists.impostor) - int(np.searchsorted(lists.impostor, threshold, side="left"))
    return Point(accepted / lists.rivals, refused / len(lists.genuine))


def _eer(lists: _Lists) -> float:
    """Find the highest threshold with FAR >= FRR by halving, and the next threshold above it."""
    best = lists.genuine[0]  # refuses no genuine pair
    for values in (lists.genuine, lists.impostor):
        low, high = -1, len(values) - 1  # values[low] fulfils it (or low = -1)
        while low < high:
            middle = (low + high + 1) // 2
            point = _point(lists, values[middle])
            low, high = (middle, high) if point.far >= point.frr else (low, middle - 1)
        if low >= 0:
            best = max(best, values[low])
    above = [
        values[place]
        for values in (lists.genuine, lists.impostor)
        if (place := int(np.searchsorted(values, best, side="right"))) < len(values)
    ]
    before = _point(lists, min(above)) if above else REFUSE_ALL
    return crossing(before, _point(lists, best))


class WeightedRoc:
    """The same numbers under weights of the pairs; sorting and matching of values are done once.

    A pair weighs the product of its images' weights, a genuine one that of one image (both have the same person, so
    the same weight). With whole-number weights a pair of weight w counts like w equal pairs, bit for bit.
    """

    def __init__(self, similarity: Array, same: Array, first: Array, second: Array) -> None:
        genuine, impostor = np.flatnonzero(same), np.flatnonzero(~same)
        genuine = genuine[np.argsort(similarity[genuine], kind="stable")]
        impostor = impostor[np.argsort(similarity[impostor], kind="stable")]
        sorted_genuine, sorted_impostor = similarity[genuine], similarity[impostor]
        self._genuine, self._impostor = first[genuine], (first[impostor], second[impostor])
        values = np.unique(similarity)
        self._below_genuine = np.searchsorted(sorted_genuine, values, side="left")
        self._below_impostor = np.searchsorted(sorted_impostor, values, side="left")
        self._value_of_genuine = np.searchsorted(values, sorted_genuine)

    def numbers(self, weights: Array) -> dict[str, float]:
        """Return the numbers under weights (U,) of the images, NaN where undefined."""
        genuine = weights[self._genuine]
        refused = _cumulative(genuine)
        impostor = _cumulative(weights[self._impostor[0]] * weights[self._impostor[1]])
        total, rivals = refused[-1], impostor[-1]
        if total <= 0 or rivals <= 0:
            return dict.fromkeys(NAMES, np.nan)
        below = np.append(impostor[self._below_impostor], rivals)  # impostor weight below each value, and in all
        won = genuine @ (below[self._value_of_genuine] + below[self._value_of_genuine + 1]) / 2
        far = (rivals - below[:-1]) / rivals
        frr = refused[self._below_genuine] / total
        numbers = {"auc": float(won / (total * rivals)), "eer": _crossing_of(far, frr)}
        for exponent in EXPONENTS:
            name, limit = f"tar_at_far_1e-{exponent}", rivals / 10**exponent
            if limit < 1:
                numbers[name] = np.nan
                continue
            place = int(np.searchsorted(-(rivals - below), -limit, side="left"))  # the lowest value with FAR in bounds
            rejected = refused[self._below_genuine[place]] if place < len(far) else total
            numbers[name] = float((total - rejected) / total)
        return numbers


def _crossing_of(far: Array, frr: Array) -> float:
    """Return the EER of operating points in order of rising thresholds: FAR falls, FRR rises."""
    place = int(np.count_nonzero(far >= frr)) - 1
    before = Point(float(far[place + 1]), float(frr[place + 1])) if place + 1 < len(far) else REFUSE_ALL
    return crossing(before, Point(float(far[place]), float(frr[place])))


def _cumulative(weights: Array) -> Array:
    """Return float64 (n + 1,): the weight before each place, and in all."""
    sums = np.empty(len(weights) + 1)
    sums[0] = 0
    np.cumsum(weights, out=sums[1:])
    return sums
