"""Exact search in L1, L-infinity and general Lp distance: every pair of images is compared, in tiles."""

from __future__ import annotations

import math

import numpy as np

from mlcvbench.contract import Array
from mlcvbench_knn.neighbours import nearest_in

TILE_BYTES = 128 * 2**20
EXACT_FLOAT32 = 2**24


class MinkowskiIndex:
    """The training images, uint8 (N, D). Sums of |q - x|^p rank like their p-th root, which is never taken.

    L1 and L-infinity distances of 8-bit images are integers: exact in float32 up to 2^24 and in float64 beyond. For
    other p a table of the 256 powers replaces the power function; its float64 sums are exact for p = 3, 4 and 5.
    """

    def __init__(self, images: Array, k: int, p: float) -> None:
        self.images, self.k, self.p = images, k, p
        exact = p == math.inf or 255 * images.shape[1] < EXACT_FLOAT32
        self.dtype = np.float32 if exact else np.float64
        self.tile = max(1, min(64, TILE_BYTES // (8 * len(images))))

    def prepare(self, pixels: Array) -> Array:
        """Return uint8 queries (B, D) as they are."""
        return pixels

    def search(self, queries: Array) -> Array:
        """Return the k nearest training indices, int64 (B, k), of uint8 queries (B, D), nearest first."""
        found = np.empty((len(queries), self.k), np.int64)
        for start in range(0, len(queries), self.tile):
            rows = slice(start, start + self.tile)
            found[rows] = nearest_in(self.distances(queries[rows]), self.k)
        return found

    def distances(self, queries: Array) -> Array:
        """Return (B, N): L1 or L-infinity distances, or sums of p-th powers."""
        compare = self._distance_block if self.p in {1.0, math.inf} else self._power_block
        step = 4096
        parts = [compare(queries, self.images[start : start + step]) for start in range(0, len(self.images), step)]
        return np.concatenate(parts, axis=1)

    def _distance_block(self, queries: Array, images: Array) -> Array:
        import torch

        left, right = (torch.from_numpy(block.astype(self.dtype)) for block in (queries, images))
        return np.asarray(torch.cdist(left, right, p=self.p).numpy())

    def _power_block(self, queries: Array, images: Array) -> Array:
        powers = np.arange(256, dtype=np.float64) ** self.p
        sums = np.zeros((len(queries), len(images)))
        step = max(1, TILE_BYTES // (16 * images.size))
        for start in range(0, len(queries), step):
            block = queries[start : start + step, None].astype(np.int16)  # (b, 1, D)
            sums[start : start + step] = powers[np.abs(block - images)].sum(axis=2)
        return sums
