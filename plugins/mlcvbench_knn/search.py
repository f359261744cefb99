"""Exact Euclidean search among 8-bit images at the speed of one float32 matrix product.

With q and x shifted by the same integers (the rounded mean training image, which makes the numbers small),

    |q - x|^2 = |q|^2 - 2 s,   s = q.x - |x|^2 / 2,

so the nearest x have the largest s. A float32 product of [q, 1] with [x, -|x|^2/2] gives every s with an error of at
most e = g (|q| max|x| + max|x|^2 / 2), g = n u / (1 - n u), n = D + 2, u = 2^-24, whatever the order of the sum
(Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1; one more rounding for |x|^2 / 2).

If k computed values are at least t, the k-th largest true s is at least t - e, hence every true neighbour, ties
included, has a computed value of at least t - 2e. Those few candidates are ranked again by integer distances: the
result is exact, and the bound is its certificate. A query with too many candidates (many near-equal distances) is
searched in full in float64, where all these integers are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlcvbench.contract import Array
from mlcvbench_knn.distances import compare_pairs, squared_distances
from mlcvbench_knn.neighbours import BLOCK_BYTES, first_k, nearest_in, rows_within

GROUP = 64
"""Columns whose maximum is taken together: large enough to leave few maxima, small enough to look into again."""
TILE_BYTES = 128 * 2**20
"""Memory of one tile of s; queries are taken in tiles of at most 512."""
PADDING = np.float32(-3e38)


@dataclass(frozen=True, slots=True)
class Queries:
    """Queries ready to compare: `pixels` uint8 (B, D); `lifted` float32 (B, D + 1): shifted, with a one at the end."""

    pixels: Array
    lifted: Array


class EuclideanIndex:
    """The training images, uint8 (N, D), prepared for exact search, one at a time.

    Keeps 4 N (D + 1) bytes beside the images, and one tile.
    """

    def __init__(self, images: Array, k: int) -> None:
        count, width = images.shape
        self.images, self.k = images, k
        self.group = max(1, min(GROUP, count // (4 * k)))
        self.shift = np.rint(images.mean(axis=0, dtype=np.float64)).astype(np.float32)  # (D,)
        padded = -(-count // self.group) * self.group
        self._lifted = np.zeros((padded, width + 1), np.float32)  # [x, -|x|^2/2]
        self._lifted[count:, width] = PADDING
        norms = np.empty(count)
        step = rows_within(BLOCK_BYTES, 4 * width, 4096)
        for start in range(0, count, step):
            rows = slice(start, min(start + step, count))
            shifted = images[rows] - self.shift
            norms[rows] = np.einsum("nd,nd->n", shifted, shifted, dtype=np.float64)
            self._lifted[rows, :width] = shifted
        self._lifted[:count, width] = norms * -0.5
        self._largest = float(norms.max())
        self.tile = rows_within(TILE_BYTES, 4 * padded, 512)
        self._scratch = np.empty((0, padded), np.float32)
        self._limit = max(8 * k, count // 32)

    def prepare(self, pixels: Array) -> Queries:
        """Return uint8 queries (B, D) with their lift."""
        lifted = np.ones((len(pixels), pixels.shape[1] + 1), np.float32)
        np.subtract(pixels, self.shift, out=lifted[:, :-1])
        return Queries(pixels, lifted)

    def search(self, queries: Queries) -> Array:
        """Return the k nearest training indices, int64 (B, k), nearest first."""
        found = np.empty((len(queries.pixels), self.k), np.int64)
        for start in range(0, len(found), self.tile):
            rows = slice(start, start + self.tile)
            found[rows] = self._search_tile(queries.pixels[rows], queries.lifted[rows])
        return found

    def error_bound(self, lifted: Array) -> Array:
        """Return e of the module's docstring for each query, float64 (B,)."""
        terms = (lifted.shape[1] + 1) * 2.0**-24
        shifted = lifted[:, :-1]
        norms = np.sqrt(np.einsum("bd,bd->b", shifted, shifted, dtype=np.float64))
        return np.asarray(terms / (1 - terms) * (norms * np.sqrt(self._largest) + self._largest / 2))

    def _search_tile(self, queries: Array, lifted: Array) -> Array:
        scores = self._product(lifted).reshape(len(queries), self.group, -1)  # (B, G, N/G): s
        best = scores.max(axis=1)  # (B, N/G)
        kth = np.partition(best, best.shape[1] - self.k, axis=1)[:, -self.k]
        least = np.nextafter((kth - 2 * self.error_bound(lifted)).astype(np.float32), np.float32(-np.inf))  # (B,)
        hopeful = best >= least[:, None]
        crowded = hopeful.sum(axis=1) > self._limit
        hopeful[crowded] = False
        rows, groups = np.nonzero(hopeful)
        pair, place = np.nonzero(scores[rows, :, groups] >= least[rows, None])
        rows, columns = rows[pair], place * scores.shape[2] + groups[pair]
        crowded |= np.bincount(rows, minlength=len(queries)) > self._limit
        keep = ~crowded[rows]
        found = np.empty((len(queries), self.k), np.int64)
        plain = np.flatnonzero(~crowded)
        found[plain] = self._rank(queries, rows[keep], columns[keep], plain)
        if crowded.any():
            found[crowded] = self._search_full(queries[crowded])
        return found

    def _product(self, lifted: Array) -> Array:
        """Return s (B, N) in memory that the next call writes over: fresh pages would cost a tenth of the product."""
        if len(self._scratch) < len(lifted):
            self._scratch = np.empty((len(lifted), len(self._lifted)), np.float32)
        return np.matmul(lifted, self._lifted.T, out=self._scratch[: len(lifted)])

    def _rank(self, queries: Array, rows: Array, columns: Array, plain: Array) -> Array:
        distances = compare_pairs(squared_distances, queries, self.images, rows, columns)
        return first_k(np.searchsorted(plain, rows), columns, distances, len(plain), self.k)

    def _search_full(self, queries: Array) -> Array:
        found = np.empty((len(queries), self.k), np.int64)
        step = rows_within(BLOCK_BYTES, 8 * max(self.images.shape), 64)
        for start in range(0, len(queries), step):
            rows = slice(start, start + step)
            found[rows] = nearest_in(self._full_distances(queries[rows]), self.k)
        return found

    def _full_distances(self, queries: Array) -> Array:
        wide = queries - self.shift.astype(np.float64)  # (B, D)
        norms = np.einsum("bd,bd->b", wide, wide)
        distances = np.empty((len(queries), len(self.images)))
        step = rows_within(BLOCK_BYTES, 8 * wide.shape[1], 4096)
        for start in range(0, len(self.images), step):
            rows = slice(start, start + step)
            images = self.images[rows] - self.shift.astype(np.float64)
            products = wide @ images.T  # exact: integers below 2^53
            distances[:, rows] = norms[:, None] - 2 * products + np.einsum("nd,nd->n", images, images)
        return distances
