"""ROC numbers of scored pairs, exact with ties: two value sorts, no argsort, no curve in memory.

A threshold t accepts the pairs with similarity >= t. FAR is the accepted share of impostor pairs, FRR the refused share
of genuine pairs, TAR = 1 - FRR.

- `auc`: share of (genuine, impostor) combinations in which the genuine pair is more similar, ties counting half.
- `tar_at_far_1e-k`: the largest TAR of a threshold with FAR <= 10^-k, undefined with fewer than 10^k impostor pairs.
- `eer`: where FAR = FRR on the ROC, whose points are joined by lines.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array

_BLOCK, _LOOKUP, _WEIGHED = 1 << 18, 1 << 12, 1 << 11
"""Pairs gathered, sorted pairs looked up, and pairs weighted at once; any numbers give the same values."""
_EVERYWHERE = 1 << 13
"""The most impostor pairs of which the sums before each are kept."""
_HELD = 1 << 22
"""Running sums held at once, over all resamples."""
_EXACT = 1 << 24
"""Whole numbers up to it are exact in float32."""
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
    numbers = {"auc": _auc(lists), "eer": _eer(lists.genuine, lists.impostor, lambda at: _point(lists, at))}
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


def _eer(genuine: Array, impostor: Array, point: Callable[[float], Point]) -> float:
    """Find the highest threshold with FAR >= FRR by halving, and the next threshold above it.

    `genuine`, `impostor`: sorted values that reach the lowest of `genuine`; `point` gives that of a threshold.
    """
    best = genuine[0]  # refuses no genuine pair
    for values in (genuine, impostor):
        low, high = -1, len(values) - 1  # values[low] fulfils it (or low = -1)
        while low < high:
            middle = (low + high + 1) // 2
            found = point(values[middle])
            low, high = (middle, high) if found.far >= found.frr else (low, middle - 1)
        if low >= 0:
            best = max(best, values[low])
    above = [
        values[place]
        for values in (genuine, impostor)
        if (place := int(np.searchsorted(values, best, side="right"))) < len(values)
    ]
    before = point(min(above)) if above else REFUSE_ALL
    return crossing(before, point(best))


class WeightedRoc:
    """The same metrics under weights of the pairs, many at once; sorting and matching of values are done once.

    A pair weighs the product of its images' weights, a genuine one that of one image (both have the same person, so
    the same weight). With whole-number weights a pair of weight w counts like w equal pairs, bit for bit.
    """

    def __init__(self, similarity: Array, same: Array, first: Array, second: Array) -> None:
        """Keep pairs (P,), whose images or people have the weights at `first` and `second`."""
        genuine = np.flatnonzero(same)
        genuine = genuine[np.argsort(similarity[genuine])]
        self._genuine, self._genuine_values = first[genuine], similarity[genuine]
        reaching = ~same
        if len(genuine):
            reaching &= similarity >= self._genuine_values[0]
        impostor = np.flatnonzero(reaching)
        impostor = impostor[np.argsort(similarity[impostor])]
        self._impostor_values = similarity[impostor]
        below = np.flatnonzero(~(same | reaching))
        self._below = _total(first[below], second[below])
        sides = [np.searchsorted(self._impostor_values, self._genuine_values, side) for side in ("left", "right")]
        places = np.arange(len(impostor) + 1) if len(impostor) <= _EVERYWHERE else np.concatenate(sides)
        self._impostor = _Products(first[impostor], second[impostor], places)
        self._lost, self._not_won = (self._impostor.marked(places) for places in sides)

    def numbers(self, weights: Array) -> dict[str, Array]:
        """Return the numbers (R,) under rows of weights (R, U) of the images, NaN where undefined."""
        rows = max(1, _HELD // (len(self._genuine) + self._impostor.count + 1))
        parts = [self._part(weights[start : start + rows]) for start in range(0, len(weights), rows)]
        return {name: np.array([one[name] for part in parts for one in part]) for name in NAMES}

    def _part(self, weights: Array) -> list[dict[str, float]]:
        by_image = np.ascontiguousarray(weights.T)
        genuine = by_image.take(self._genuine, axis=0).astype(np.float64, copy=False)  # (n, R)
        marked = self._impostor.sums(by_image) + self._below(by_image)
        won = np.einsum("nr,nr->r", genuine, marked[self._lost] + marked[self._not_won]) / 2
        refused = _cumulative(genuine)
        columns = zip(won, np.ascontiguousarray(refused.T), np.ascontiguousarray(marked.T), weights, strict=True)
        return [self._one(*column) for column in columns]

    def _one(self, won: float, refused: Array, marked: Array, weights: Array) -> dict[str, float]:
        """Return the numbers under one row of weights.

        `won`: the weight of combinations won; `refused`: of the genuine pairs before each, `marked`: of the impostor
        pairs before each mark.
        """
        total, rivals = refused[-1], marked[-1]
        if total <= 0 or rivals <= 0:
            return dict.fromkeys(NAMES, np.nan)

        def point(threshold: float) -> Point:
            place = int(np.searchsorted(self._impostor_values, threshold, side="left"))
            accepted = rivals - self._impostor.before(place, weights, marked)
            place = int(np.searchsorted(self._genuine_values, threshold, side="left"))
            return Point(float(accepted / rivals), float(refused[place] / total))

        numbers = {
            "auc": float(won / (total * rivals)),
            "eer": float(_eer(self._genuine_values, self._impostor_values, point)),
        }
        for exponent in EXPONENTS:
            limit = rivals / 10**exponent
            if limit < 1:
                numbers[f"tar_at_far_1e-{exponent}"] = np.nan
                continue
            last = self._impostor.last_exceeding(limit, weights, marked)
            highest = None if last is None else self._impostor_values[last]  # whose pairs must be refused
            place = 0 if highest is None else int(np.searchsorted(self._genuine_values, highest, side="right"))
            numbers[f"tar_at_far_1e-{exponent}"] = float((total - refused[place]) / total)
        return numbers


def _total(first: Array, second: Array) -> Callable[[Array], Array]:
    """Return the function that sums products of pairs (P,) under weights (U, R), giving (R,).

    Many pairs of few weights are counted once by which two they have.
    """
    size = int(max(first.max(initial=-1), second.max(initial=-1))) + 1
    if size * size > len(first):
        products = _Products(first, second, np.zeros(1, dtype=np.intp))
        return lambda weights: products.sums(weights)[-1]
    counts = np.bincount(first.astype(np.int64) * size + second, minlength=size * size).reshape(size, size)
    counted = counts.astype(np.float64)

    def total(weights: Array) -> Array:
        wide = weights[:size].astype(np.float64)
        found: Array = np.einsum("ur,ur->r", wide, counted @ wide)
        return found

    return total


class _Products:
    """Running sums of products of two weights, known at some positions and computed anywhere.

    With whole-number weights they are exact, so no sum depends on where it was begun. Sums at all of millions of
    positions would take twice the time, and memory.
    """

    def __init__(self, first: Array, second: Array, places: Array) -> None:
        """Keep pairs (P,) and the `places` 0 to P before which sums are wanted."""
        self._first, self._second = first, second
        starts = np.arange(0, len(first), _WEIGHED)
        self._marks = np.unique(np.concatenate([starts, places, [0, len(first)]]))
        bounds = np.searchsorted(self._marks, [*starts, len(first)])
        self._blocks = [
            (slice(start, start + _WEIGHED), self._marks[one:end] - start)
            for start, one, end in zip(starts.tolist(), bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
        ]

    @property
    def count(self) -> int:
        """How many sums `sums` gives for a row of weights."""
        return len(self._marks)

    def marked(self, places: Array) -> Array:
        """Return where the sums before some of the known places are in those that `sums` gives."""
        return np.searchsorted(self._marks, places)

    def sums(self, weights: Array) -> Array:
        """Return float64 (count, R) for weights (U, R): the sums before each known place in order, in the end of all.

        Weights of neighbouring resamples are neighbours, so that those of an image are fetched together.
        """
        whole = weights.dtype.kind in "iu" and int(weights.max(initial=0)) ** 2 * _WEIGHED <= _EXACT
        narrow = weights.astype(np.float32 if whole else np.float64)
        parts = [np.zeros((0, weights.shape[1]), dtype=narrow.dtype)]
        for block, marks in self._blocks:
            products: Array = narrow.take(self._first[block], axis=0)
            products *= narrow.take(self._second[block], axis=0)
            parts.append(np.add.reduceat(products, marks, axis=0) if len(marks) > 1 else products.sum(axis=0)[None])
        return _cumulative(np.concatenate(parts))

    def before(self, place: int, weights: Array, sums: Array) -> float:
        """Return the sum before a place, for weights (U,) and their column of `sums`."""
        if len(self._marks) > len(self._first):
            return float(sums[place])
        known = int(np.searchsorted(self._marks, place, side="right")) - 1
        return float(sums[known] + self._between(int(self._marks[known]), place, weights).sum())

    def last_exceeding(self, limit: float, weights: Array, sums: Array) -> int | None:
        """Return the last place from which on the pairs weigh more than `limit`, None where not even all do."""
        known = bisect_left(range(len(sums)), True, key=lambda mark: bool(sums[-1] - sums[mark] <= limit)) - 1
        if known < 0:
            return None
        stretch = self._between(int(self._marks[known]), int(self._marks[known + 1]), weights)
        rest = sums[-1] - (sums[known] + np.cumsum(stretch))
        return int(self._marks[known]) + int(np.count_nonzero(rest > limit))

    def _between(self, start: int, end: int, weights: Array) -> Array:
        products: Array = weights.take(self._first[start:end]).astype(np.float64)
        products *= weights.take(self._second[start:end])
        return products


def _cumulative(values: Array) -> Array:
    """Return float64 (n + 1, R): the sum of the values (n, R) before each place, and of all."""
    sums = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, dtype=np.float64, out=sums[1:])
    return sums
