"""Exact search in L1, L-infinity and general Lp distance. Imports torch: load it lazily."""

from __future__ import annotations

import math
from functools import partial

import torch

from mlcvbench.contract import Array
from mlcvbench_knn.distances import compare_pairs, power_sums
from mlcvbench_knn.neighbours import rows_within
from mlcvbench_knn.torch_search import ExhaustiveIndex

WHOLE = 2**24
"""Up to here float32 holds every whole number."""
LARGEST = 3e38
CACHE_BYTES = 2**21
"""Memory of one block of powers on a CPU: three passes over it cost a third while it stays in the cache."""
SPAN = 1024
"""Powers summed in their own type; their sums are added in float64."""
ROUNDINGS = 300
"""Beside those of the sum: 16 of a power, in units of its last place, and those of `power_sums`."""


class MinkowskiIndex(ExhaustiveIndex):
    """Sums of |q - x|^p rank like their p-th root, which is never taken.

    L1 and L-infinity distances of 8-bit images are whole numbers: exact in float32 up to 2^24 and in float64 beyond.
    For other p, sums of computed powers are off by a share of at most (min(D, SPAN) + D / SPAN + ROUNDINGS) u, with
    u = 2^-24 in float32 and 2^-53 in float64; images that may be nearest are ranked by `power_sums`, which says how
    exact it is.
    """

    def __init__(self, images: Array, k: int, p: float, device: torch.device) -> None:
        super().__init__(images, k, device)
        width = images.shape[1]
        self.p, self.whole = p, p in {1.0, math.inf}
        if self.whole:
            narrow = p == math.inf or 255 * width < WHOLE
        else:
            narrow = p * math.log(255) + math.log(width) < math.log(LARGEST)
            terms = min(width, SPAN) + width // SPAN + ROUNDINGS
            self.slack = 4 * terms * (2.0**-24 if narrow else 2.0**-53)
        self.dtype = torch.float32 if narrow else torch.float64
        if device.type == "cpu" and not self.whole:
            self.block_bytes = CACHE_BYTES

    def values(self, queries: torch.Tensor) -> torch.Tensor:
        """Return L1 or L-infinity distances, or sums of p-th powers, float64 (B, N)."""
        values = torch.empty((len(queries), len(self.images)), dtype=torch.float64, device=self.device)
        wide = queries.to(self.dtype)
        for rows in self.blocks(wide.element_size() * wide.shape[1]):
            images = self.moved[rows].to(self.dtype)
            values[:, rows] = torch.cdist(wide, images, p=self.p) if self.whole else self._power_sums(wide, images)
        return values

    def ranks(self, pixels: Array, rows: Array, columns: Array, values: Array) -> Array:
        if self.whole:
            return values
        return compare_pairs(partial(power_sums, p=self.p), pixels, self.images, rows, columns)

    def _power_sums(self, queries: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Return the sums float64 (B, n) of queries (B, D) and a block of images (n, D), both of the compared type."""
        width, found = images.shape[1], []
        step = rows_within(self.block_bytes, images.nbytes, len(queries))
        for start in range(0, len(queries), step):
            powers = (queries[start : start + step, None] - images).abs_().pow_(self.p)  # (b, n, D)
            spans = [powers[:, :, first : first + SPAN].sum(dim=2) for first in range(0, width, SPAN)]
            found.append(torch.stack(spans).sum(dim=0, dtype=torch.float64))
        return torch.cat(found)
