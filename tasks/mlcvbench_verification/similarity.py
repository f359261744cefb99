"""Similarity of embeddings: larger means likelier the same person; distances count negative."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlcvbench.contract import Array

DISTANCES = ("cosine", "l2", "l1")
_CHUNK = 1 << 19
"""Numbers processed at once; a chunk fits in the cache."""
_PAIRS = 1 << 18
"""Pairs processed together."""
_MOST_UNUSED = 4
"""A matrix product is used where it computes at most this many times the needed pairs; it is 20 times faster."""
_LAST_BITS = 2.0**-50
"""Relative; exceeds the rounding of a square root and its neighbours."""


def pair_similarity(embedding: Array, first: Array, second: Array, distance: str) -> Array:
    """Return float32 (P,): cosine of the angle, or minus the Euclidean or city-block distance, of pairs of rows.

    Each pair is computed by itself in float64 and rounded once, so the values do not depend on how pairs are blocked.
    Where many pairs share few images, a matrix product bounds the float64 values: where both bounds round to the same
    float32, that is the value bit for bit; the few other pairs are computed individually.

    Args:
        embedding: float32 (N, D).
        first: places (P,).
        second: places (P,).
        distance: `cosine`, `l2` or `l1`.

    >>> pair_similarity(np.float32([[3, 4], [4, 3]]), np.array([0]), np.array([1]), "l1").tolist()
    [-2.0]

    """
    wide = embedding.astype(np.float64)
    if distance == "cosine":
        wide /= np.sqrt(np.einsum("ij,ij->i", wide, wide))[:, None]
    values = np.empty(len(first), dtype=np.float32)
    for start in range(0, len(first), _PAIRS):
        block = slice(start, start + _PAIRS)
        values[block] = _block_similarity(wide, first[block], second[block], distance)
    return values


def _block_similarity(wide: Array, first: Array, second: Array, distance: str) -> Array:
    """Return the values of some pairs; where they fill a rectangle of images, most come from a matrix product."""
    low = int(first.min()), int(second.min())
    sides = int(first.max()) - low[0] + 1, int(second.max()) - low[1] + 1
    if distance not in _PRODUCTS or sides[0] * sides[1] > _MOST_UNUSED * len(first):
        return _pair_by_pair(wide, first, second, distance)
    one, other = (wide[start : start + count] for start, count in zip(low, sides, strict=True))
    places = (first - low[0]).astype(np.int64) * sides[1] + (second - low[1])
    least, most = (bound.astype(np.float32) for bound in _PRODUCTS[distance](one, other, places))
    unsure = np.flatnonzero(least != most)
    most[unsure] = _pair_by_pair(wide, first[unsure], second[unsure], distance)
    return most


def _pair_by_pair(wide: Array, first: Array, second: Array, distance: str) -> Array:
    compare = _COMPARE[distance]
    values = np.empty(len(first), dtype=np.float32)
    rows = max(1, _CHUNK // max(1, wide.shape[1]))
    for start in range(0, len(first), rows):
        block = slice(start, start + rows)
        values[block] = compare(wide[first[block]], wide[second[block]])
    return values


def _cosine_bounds(one: Array, other: Array, places: Array) -> tuple[Array, Array]:
    product, error = (one @ other.T).ravel().take(places), _error(one.shape[1])
    return product - error, product + error


def _euclidean_bounds(one: Array, other: Array, places: Array) -> tuple[Array, Array]:
    """Return bounds of minus the distance, from |a - b|^2 = a^2 + b^2 - 2 a b."""
    lengths = np.einsum("ij,ij->i", one, one), np.einsum("ij,ij->i", other, other)
    squared = one @ other.T
    squared *= -2
    squared += lengths[0][:, None]
    squared += lengths[1]
    error = 2 * _error(one.shape[1]) * float(lengths[0].max() + lengths[1].max())
    chosen = squared.ravel().take(places)
    far, near = np.sqrt(np.maximum(chosen + error, 0)), np.sqrt(np.maximum(chosen - error, 0))
    return -far * (1 + _LAST_BITS), -near * (1 - _LAST_BITS)


def _error(count: int) -> float:
    """Return the largest difference between two sums of products of `count` numbers in any order, for vectors of length
    1.
    """
    return 2 * (count + 4) * 2.0**-53


def _cosine(one: Array, other: Array) -> Array:
    product: Array = np.einsum("ij,ij->i", one, other)
    return product


def _euclidean(one: Array, other: Array) -> Array:
    difference = one - other
    length: Array = -np.sqrt(np.einsum("ij,ij->i", difference, difference))
    return length


def _city_block(one: Array, other: Array) -> Array:
    total: Array = -np.abs(one - other).sum(axis=1)
    return total


_COMPARE: dict[str, Callable[[Array, Array], Array]] = {"cosine": _cosine, "l2": _euclidean, "l1": _city_block}
_PRODUCTS: dict[str, Callable[[Array, Array, Array], tuple[Array, Array]]] = {
    "cosine": _cosine_bounds,
    "l2": _euclidean_bounds,
}
"""Bounds between which the values of pairs lie, however their sums are ordered: of pairs at `places` (P,) of the table
(A, B) of two blocks of rows."""
