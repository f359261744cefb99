"""The certified search behind `knn.py`: the k nearest of 8-bit images, exactly and fast. No torch.

Every search shortlists candidates at the speed of the hardware and decides between them by exact arithmetic on the two
images alone, so a neighbour depends neither on the batch nor on the device. Here: that arithmetic, what all searches
share, and the Euclidean search on a CPU, which `EuclideanSearch` proves; `torch_search.py` has the others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from mlcvbench.contract import Array

BLOCK_BYTES = 128 * 2**20
"""Memory of what is computed at once on the host: a block of pairs, a tile of values."""
PAIRS = 16_384
"""Pairs compared at once, if their memory allows."""
LEVELS = 256
GROUP = 64
"""Columns whose maximum is taken together: large enough to leave few maxima, small enough to look into again."""
PADDING = np.float32(-3e38)


# Pairs of images: sums that are exact, or rounded in one order.


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


def dot_products(left: Array, right: Array) -> Array:
    """Return x.y of each pair of uint8 rows (T, D), exactly, as int64 (T,).

    >>> dot_products(np.array([[255, 2]], np.uint8), np.array([[255, 1]], np.uint8))
    array([65027])
    """
    return np.asarray(np.einsum("td,td->t", left, right, dtype=np.int64))


def compare_pairs(
    compare: Callable[[Array, Array], Array], queries: Array, images: Array, rows: Array, columns: Array
) -> Array:
    """Return `compare(queries[rows], images[columns])` (T,), taken in blocks of bounded memory.

    `queries` (B, D) and `images` (N, D) are uint8, `rows` and `columns` int64 (T,); `compare` takes two uint8 (T, D).
    """
    # Two copies of the pixels, their difference, and its bin as int64; the counts of the bins and their products.
    step = rows_within(BLOCK_BYTES, 16 * images.shape[1] + 16 * LEVELS, PAIRS)
    blocks = slices(max(1, len(rows)), step)  # of no pairs one block, for the type
    return np.concatenate([compare(queries[rows[block]], images[columns[block]]) for block in blocks])


# What every search shares: bounded memory, the choice of the k nearest with ties broken, queries in tiles.


def rows_within(budget: int, row_bytes: int, most: int) -> int:
    """Return how many rows of `row_bytes` to take at once: as many as `budget` bytes hold, from 1 to `most`.

    >>> rows_within(2**20, row_bytes=1000, most=4096), rows_within(2**20, row_bytes=2**30, most=4096)
    (1048, 1)
    """
    return max(1, min(most, budget // row_bytes))


def slices(count: int, step: int) -> Iterator[slice]:
    """Yield the slices of at most `step` that make up `count` rows.

    >>> list(slices(5, 3))
    [slice(0, 3, None), slice(3, 5, None)]
    """
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def first_k(rows: Array, columns: Array, distances: Array, count: int, k: int) -> Array:
    """Return the k nearest of each row as training indices (count, k), nearest first.

    `rows`, `columns`, `distances` (T,) list candidate pairs; every row has at least k of them. Among equal distances
    the lower training index is nearer, so the result does not depend on block sizes or threads.

    >>> first_k(np.array([0, 0, 0]), np.array([7, 2, 5]), np.array([4, 4, 1]), count=1, k=2)
    array([[5, 2]])
    """
    order = np.lexsort((columns, distances, rows))
    starts = np.searchsorted(rows[order], np.arange(count))  # (count,)
    return np.asarray(columns[order[starts[:, None] + np.arange(k)]])


class Queries(NamedTuple):
    """Queries ready to search: `pixels` uint8 (B, D) on the host, `ready` (B, ...) as and where they are compared."""

    pixels: Array
    ready: Any


class Search(ABC):
    """The training images, uint8 (N, D), prepared for exact search of the k nearest, `tile` queries at once."""

    tile: int

    def __init__(self, images: Array, k: int) -> None:
        self.images, self.k = images, k

    @abstractmethod
    def prepare(self, pixels: Array) -> Queries:
        """Return what `search` needs for queries, uint8 (B, D), on the device of the search."""

    def search(self, queries: Queries) -> Array:
        """Return the k nearest training indices, int64 (B, k), nearest first."""
        found = np.empty((len(queries.pixels), self.k), np.int64)
        for rows in slices(len(found), self.tile):
            found[rows] = self.search_tile(queries.pixels[rows], queries.ready[rows])
        return found

    @abstractmethod
    def search_tile(self, pixels: Array, ready: Any) -> Array:
        """Return the k nearest of at most `tile` queries, int64 (B, k), nearest first."""


class EuclideanSearch(Search):
    """Exact Euclidean search at the speed of one float32 matrix product, on a CPU, by one caller at a time.

    With q and x shifted by the same integers (the rounded mean training image, which makes the numbers small),

        |q - x|^2 = |q|^2 - 2 s,   s = q.x - |x|^2 / 2,

    so the nearest x have the largest s. A float32 product of [q, 1] with [x, -|x|^2/2] gives every s with an error of
    at most e = g (|q| max|x| + max|x|^2 / 2), g = n u / (1 - n u), n = D + 2, u = 2^-24, whatever the order of the sum
    (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1; one more rounding for |x|^2 / 2).

    If k computed values are at least t, the k-th largest true s is at least t - e, hence every true neighbour, ties
    included, has a computed value of at least t - 2e. Those few candidates are ranked again by integer distances: the
    result is exact, and the bound is its certificate. A query with too many candidates (many near-equal distances) is
    searched in full in float64, where all these integers are exact.

    Keeps 4 N (D + 1) bytes beside the images, and one tile.
    """

    def __init__(self, images: Array, k: int) -> None:
        super().__init__(images, k)
        count, width = images.shape
        self.group = max(1, min(GROUP, count // (4 * k)))
        self.shift = np.rint(images.mean(axis=0, dtype=np.float64)).astype(np.float32)  # (D,)
        padded = -(-count // self.group) * self.group
        self.lifted = np.zeros((padded, width + 1), np.float32)  # [x, -|x|^2/2]
        self.lifted[count:, width] = PADDING
        norms = np.empty(count)
        for rows in slices(count, rows_within(BLOCK_BYTES, 4 * width, 4096)):
            shifted = images[rows] - self.shift
            norms[rows] = np.einsum("nd,nd->n", shifted, shifted, dtype=np.float64)
            self.lifted[rows, :width] = shifted
        self.lifted[:count, width] = norms * -0.5
        self._largest = float(norms.max())
        self.tile = rows_within(BLOCK_BYTES, 4 * padded, 512)
        self._scratch = np.empty((0, padded), np.float32)
        self._limit = max(8 * k, count // 32)

    def prepare(self, pixels: Array) -> Queries:
        """Return uint8 queries (B, D) with their [q, 1], float32 (B, D + 1)."""
        lifted = np.ones((len(pixels), pixels.shape[1] + 1), np.float32)
        np.subtract(pixels, self.shift, out=lifted[:, :-1])
        return Queries(pixels, lifted)

    def error_bound(self, lifted: Array) -> Array:
        """Return e of each query [q, 1], float64 (B,)."""
        terms = (lifted.shape[1] + 1) * 2.0**-24
        shifted = lifted[:, :-1]
        norms = np.sqrt(np.einsum("bd,bd->b", shifted, shifted, dtype=np.float64))
        return np.asarray(terms / (1 - terms) * (norms * np.sqrt(self._largest) + self._largest / 2))

    def search_tile(self, pixels: Array, ready: Array) -> Array:
        scores = self._product(ready).reshape(len(ready), self.group, -1)  # (B, G, N/G): s
        best = scores.max(axis=1)  # (B, N/G)
        kth = np.partition(best, best.shape[1] - self.k, axis=1)[:, -self.k]
        least = np.nextafter((kth - 2 * self.error_bound(ready)).astype(np.float32), np.float32(-np.inf))  # (B,)
        hopeful = best >= least[:, None]
        crowded = hopeful.sum(axis=1) > self._limit
        hopeful[crowded] = False
        rows, groups = np.nonzero(hopeful)
        pair, place = np.nonzero(scores[rows, :, groups] >= least[rows, None])
        rows, columns = rows[pair], place * scores.shape[2] + groups[pair]
        crowded |= np.bincount(rows, minlength=len(ready)) > self._limit
        keep, plain = ~crowded[rows], np.flatnonzero(~crowded)
        rows, columns = rows[keep], columns[keep]
        found = np.empty((len(ready), self.k), np.int64)
        distances = compare_pairs(squared_distances, pixels, self.images, rows, columns)
        found[plain] = first_k(np.searchsorted(plain, rows), columns, distances, len(plain), self.k)
        if crowded.any():
            found[crowded] = self.search_full(pixels[crowded])
        return found

    def search_full(self, pixels: Array) -> Array:
        """Return the k nearest of uint8 queries (B, D) by all their distances in float64, int64 (B, k)."""
        found = np.empty((len(pixels), self.k), np.int64)
        for block in slices(len(pixels), rows_within(BLOCK_BYTES, 8 * max(self.images.shape), 64)):
            distances = self._full_distances(pixels[block])
            kth = np.partition(distances, self.k - 1, axis=1)[:, self.k - 1 : self.k]  # (B, 1)
            rows, columns = np.nonzero(distances <= kth)
            found[block] = first_k(rows, columns, distances[rows, columns], len(distances), self.k)
        return found

    def _product(self, lifted: Array) -> Array:
        """Return s (B, N) in memory that the next call writes over: fresh pages would cost a tenth of the product."""
        if len(self._scratch) < len(lifted):
            self._scratch = np.empty((len(lifted), len(self.lifted)), np.float32)
        return np.matmul(lifted, self.lifted.T, out=self._scratch[: len(lifted)])

    def _full_distances(self, pixels: Array) -> Array:
        """Return the squared distances of uint8 queries (B, D) from all images, exact, float64 (B, N)."""
        shift = self.shift.astype(np.float64)
        wide = pixels - shift  # (B, D)
        norms = np.einsum("bd,bd->b", wide, wide)
        distances = np.empty((len(pixels), len(self.images)))
        for rows in slices(len(self.images), rows_within(BLOCK_BYTES, 8 * wide.shape[1], 4096)):
            images = self.images[rows] - shift
            products = wide @ images.T  # exact: integers below 2^53
            distances[:, rows] = norms[:, None] - 2 * products + np.einsum("nd,nd->n", images, images)
        return distances
