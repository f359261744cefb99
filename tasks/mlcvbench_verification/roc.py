"""ROC numbers of scored pairs, exact with ties: two value sorts, no argsort, no curve in memory.

A threshold t accepts the pairs with similarity >= t. FAR is the accepted share of impostor pairs, FRR the refused share
of genuine pairs, TAR = 1 - FRR.

- `auc`: share of (genuine, impostor) combinations in which the genuine pair is more similar, ties counting half.
- `tar_at_far_1e-k`: the largest TAR of a threshold with FAR <= 10^-k, undefined with fewer than 10^k impostor pairs.
- `eer`: where FAR = FRR on the ROC, whose points are joined by lines.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array

_BLOCK, _LOOKUP, _WEIGHED = 1 << 18, 1 << 12, 1 << 15
"""Pairs gathered, sorted pairs looked up, and pairs weighted at once; any numbers give the same values."""
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
    """The same metrics under weights of the pairs; sorting and matching of values are done once.

    A pair weighs the product of its images' weights, a genuine one that of one image (both have the same person, so
    the same weight). With whole-number weights a pair of weight w counts like w equal pairs, bit for bit.
    """

    def __init__(self, similarity: Array, same: Array, first: Array, second: Array) -> None:
        genuine, impostor = np.flatnonzero(same), np.flatnonzero(~same)
        genuine = genuine[np.argsort(similarity[genuine], kind="stable")]
        impostor = impostor[np.argsort(similarity[impostor], kind="stable")]
        sorted_genuine, sorted_impostor = similarity[genuine], similarity[impostor]
        values = np.unique(similarity)
        self._genuine, self._refused = first[genuine], np.searchsorted(sorted_genuine, values, side="left")
        self._below = np.searchsorted(sorted_impostor, values, side="left")  # impostor pairs below each value
        sides = [np.searchsorted(sorted_impostor, sorted_genuine, side) for side in ("left", "right")]
        places = np.arange(len(impostor) + 1) if len(impostor) <= _BLOCK else np.concatenate(sides)
        self._impostor = _Products(first[impostor], second[impostor], places)
        self._lost, self._not_won = (self._impostor.marked(places) for places in sides)

    def numbers(self, weights: Array) -> dict[str, float]:
        """Return the numbers under weights (U,) of the images, NaN where undefined."""
        genuine = weights[self._genuine]
        refused, marked = _cumulative(genuine), self._impostor.sums(weights)
        total, rivals = refused[-1], marked[-1]
        if total <= 0 or rivals <= 0:
            return dict.fromkeys(NAMES, np.nan)
        won = genuine @ (marked[self._lost] + marked[self._not_won]) / 2
        count = len(self._below)

        def accepted(place: int) -> float:
            """Return the weight of the impostor pairs that reach the value at `place`."""
            return float(rivals - self._impostor.before(int(self._below[place]), weights, marked))

        def point(place: int) -> Point:
            return Point(accepted(place) / rivals, refused[self._refused[place]] / total)

        def more_refused(place: int) -> bool:
            far, frr = point(place)
            return bool(far < frr)

        def first_within(limit: float) -> int:
            return bisect_left(range(count), True, key=lambda place: accepted(place) <= limit)

        crossed = bisect_left(range(count), True, key=more_refused)  # FAR falls and FRR rises with the value
        before = point(crossed) if crossed < count else REFUSE_ALL
        numbers = {"auc": float(won / (total * rivals)), "eer": float(crossing(before, point(crossed - 1)))}
        for exponent in EXPONENTS:
            name, limit = f"tar_at_far_1e-{exponent}", rivals / 10**exponent
            if limit < 1:
                numbers[name] = np.nan
                continue
            lowest = first_within(limit)
            rejected = refused[self._refused[lowest]] if lowest < count else total
            numbers[name] = float((total - rejected) / total)
        return numbers


class _Products:
    """Running sums of products of two weights, known at some positions and computed anywhere.

    With whole-number weights they are exact, so no sum depends on where it was begun. Sums at all of millions of
    positions would take twice the time, and memory.
    """

    def __init__(self, first: Array, second: Array, places: Array) -> None:
        """Keep pairs (P,) and the `places` 0 to P before which sums are wanted."""
        self._first, self._second = first, second
        starts = np.arange(0, len(first), _WEIGHED)
        self._marks = np.unique(np.concatenate([starts, places, [len(first)]]))
        bounds = np.searchsorted(self._marks, [*starts, len(first)])
        self._blocks = [
            (slice(start, start + _WEIGHED), self._marks[one:end] - start)
            for start, one, end in zip(starts.tolist(), bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
        ]

    def marked(self, places: Array) -> Array:
        """Return where the sums before some of the known places are in those that `sums` gives."""
        return np.searchsorted(self._marks, places)

    def sums(self, weights: Array) -> Array:
        """Return float64: the sums before each known place in order, in the end that of all."""
        parts = [np.add.reduceat(self._products(block, weights), marks) for block, marks in self._blocks]
        return _cumulative(np.concatenate(parts)) if parts else np.zeros(1)

    def before(self, place: int, weights: Array, sums: Array) -> float:
        """Return the sum before a place, from the `sums` of the same weights."""
        if len(self._marks) > len(self._first):
            return float(sums[place])
        known = int(np.searchsorted(self._marks, place, side="right")) - 1
        return float(sums[known] + self._products(slice(int(self._marks[known]), place), weights).sum())

    def _products(self, chosen: slice, weights: Array) -> Array:
        products = weights.take(self._first[chosen])
        products *= weights.take(self._second[chosen])
        return products


def _cumulative(weights: Array) -> Array:
    """Return float64 (n + 1,): the weight before each place, and in all."""
    sums = np.empty(len(weights) + 1)
    sums[0] = 0
    np.cumsum(weights, out=sums[1:])
    return sums
