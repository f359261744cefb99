"""The distances between pairs of 8-bit images by their definitions, exact or rounded once or twice, in numpy.

The searches of this package shortlist candidates at the speed of the hardware; these functions decide between them.
They look at no more than the pair, so a distance depends neither on the batch nor on the device.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mlcvbench.contract import Array
from mlcvbench_knn.neighbours import BLOCK_BYTES, rows_within

PAIRS = 16_384
"""Pairs compared at once, if their memory allows."""
LEVELS = 256


def compare_pairs(
    compare: Callable[[Array, Array], Array], queries: Array, images: Array, rows: Array, columns: Array
) -> Array:
    """Return `compare(queries[rows], images[columns])` (T,), taken in blocks of bounded memory.

    `queries` (B, D) and `images` (N, D) are uint8, `rows` and `columns` int64 (T,); `compare` takes two uint8 (T, D).
    """
    # Two copies of the pixels, their difference, and its bin as int64; the counts of the bins and their products.
    step = rows_within(BLOCK_BYTES, 16 * images.shape[1] + 16 * LEVELS, PAIRS)
    starts = range(0, max(1, len(rows)), step)
    blocks = (slice(start, start + step) for start in starts)
    return np.concatenate([compare(queries[rows[block]], images[columns[block]]) for block in blocks])


def squared_distances(left: Array, right: Array) -> Array:
    """Return the squared Euclidean distance of each pair of uint8 rows (T, D), exactly, as int64 (T,).

    >>> squared_distances(np.array([[0, 255]], np.uint8), np.array([[255, 0]], np.uint8))
    array([130050])
    """
    differences = np.subtract(left, right, dtype=np.float32)  # squares stay below 2^16
    squares = np.einsum("td,td->t", differences, differences, dtype=np.float64)
    return np.asarray(squares.astype(np.int64))


def power_sums(left: Array, right: Array, p: float) -> Array:
    """Return sum |x_i - y_i|^p of each pair of uint8 rows (T, D) as float64 (T,).

    The D differences are counted by size and the 255 powers are summed in one order, so equal differences in other
    places give an equal sum, to the last bit. For whole p the sum is exact while D 255^p is at most 2^53: D up to
    543 million for p = 3, 2.1 million for p = 4, 8,353 for p = 5, 32 for p = 6. Otherwise its relative error is below
    2^-44, and of two images whose true distances are closer than that either may count as the nearer.

    >>> power_sums(np.array([[0, 3]], np.uint8), np.array([[2, 0]], np.uint8), p=3)
    array([35.])
    """
    count = len(left)
    differences = np.abs(np.subtract(left, right, dtype=np.int16)).astype(np.int64)
    bins = differences * count + np.arange(count)[:, None]
    counts = np.bincount(bins.ravel(), minlength=LEVELS * count).reshape(LEVELS, count)
    sums = np.zeros(count)
    for difference in range(1, LEVELS):
        sums += counts[difference] * float(difference) ** p
    return sums


def minkowski_distances(left: Array, right: Array, p: float) -> Array:
    """Return (sum |x_i - y_i|^p)^(1/p) of each pair of uint8 rows (T, D), or the largest difference, float64 (T,).

    >>> pair = np.array([[0, 0]], np.uint8), np.array([[3, 4]], np.uint8)
    >>> [float(minkowski_distances(*pair, p)[0]) for p in (1, 2, math.inf)]
    [7.0, 5.0, 4.0]
    """
    if p == 2:
        return np.sqrt(squared_distances(left, right))
    if p == math.inf:
        return np.asarray(np.abs(np.subtract(left, right, dtype=np.int16)).max(axis=1).astype(np.float64))
    return np.asarray(power_sums(left, right, p) ** (1 / p))


def dot_products(left: Array, right: Array) -> Array:
    """Return x.y of each pair of uint8 rows (T, D), exactly, as int64 (T,).

    >>> dot_products(np.array([[255, 2]], np.uint8), np.array([[255, 1]], np.uint8))
    array([65027])
    """
    return np.asarray(np.einsum("td,td->t", left, right, dtype=np.int64))


def cosine_distances(left: Array, right: Array) -> Array:
    """Return 1 - x.y / (|x| |y|) of each pair of uint8 rows (T, D), float64 (T,); 1 where a row is all zero.

    Computed as (|x|^2 |y|^2 - (x.y)^2) / (|x| |y| (|x| |y| + x.y)) with a numerator of whole numbers: nothing cancels,
    and the distance is 0 exactly where one row is a multiple of the other.

    >>> cosine_distances(np.array([[1, 2], [3, 0], [0, 0]], np.uint8), np.array([[2, 4], [0, 1], [0, 0]], np.uint8))
    array([0., 1., 1.])
    """
    products, lefts, rights = (dot_products(*pair) for pair in ((left, right), (left, left), (right, right)))
    # Python's whole numbers: these products pass 2^63 from about 46,000 values an image on.
    rest = (lefts.astype(object) * rights - products.astype(object) ** 2).astype(np.float64)
    lengths = np.sqrt(lefts.astype(np.float64)) * np.sqrt(rights.astype(np.float64))
    dark = lengths == 0
    return np.asarray(np.where(dark, 1.0, rest / np.where(dark, 1.0, lengths * (lengths + products))))


def cosine_ranks(products: Array, squares: Array) -> Array:
    """Return how images rank, int64 (T,), by (q.x)^2 / |x|^2, the largest first; equal quotients share a rank.

    `products` are q.x, `squares` |x|^2 of at least 1, int64 (T,). Decided in whole numbers: different quotients differ
    by at least 1 / max |x|^4, so their whole parts differ once they are multiplied by as much.

    >>> cosine_ranks(np.array([2, 1, 6]), np.array([2, 1, 18]))  # 4/2, 1/1, 36/18
    array([0, 1, 0])
    """
    pairs, places = np.unique(np.stack([products, squares], axis=1), axis=0, return_inverse=True)
    shift = 2 * int(squares.max()).bit_length()
    quotients = [-((product * product << shift) // square) for product, square in pairs.tolist()]
    _, ranks = np.unique(np.array(quotients, dtype=object), return_inverse=True)
    return np.asarray(ranks[places])
