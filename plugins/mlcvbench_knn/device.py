"""The certified Euclidean search of `search.py` in torch, for a GPU. Imports torch: load it lazily.

The selection differs: a top-k of k + SPARE values replaces the maxima of groups. When the last of them is below
t - 2e, every candidate is among them; otherwise the query is searched in full in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from mlcvbench.contract import Array
from mlcvbench_knn.neighbours import rows_within

SPARE = 27
TILE_BYTES = 2**30
UNIT = 2.0**-24


@contextmanager
def full_float32() -> Iterator[None]:
    """Keep CUDA from rounding the factors of float32 products to TF32, whatever the process allows elsewhere.

    The error bound of the search is that of float32; with TF32's eleven bits neighbours would be missed unnoticed.
    """
    settings = torch.backends.cuda.matmul
    # Since torch 2.9 the older flag may not be read once the newer one was written.
    name, full = ("fp32_precision", "ieee") if hasattr(settings, "fp32_precision") else ("allow_tf32", False)
    before = getattr(settings, name)
    setattr(settings, name, full)
    try:
        yield
    finally:
        setattr(settings, name, before)


@dataclass(frozen=True, slots=True)
class DeviceQueries:
    """Queries on the device: `pixels` uint8 (B, D); `lifted` float32 (B, D + 1): shifted, with a one at the end."""

    pixels: torch.Tensor
    lifted: torch.Tensor


class DeviceIndex:
    """The training images, uint8 (N, D), on a torch device; keeps 4 N (D + 1) bytes beside them."""

    def __init__(self, images: Array, k: int, device: torch.device) -> None:
        self.k, self.device = k, device
        self.images = torch.from_numpy(np.require(images, requirements=["C", "W"])).to(device)
        self.shift = torch.round(self.images.sum(dim=0, dtype=torch.float64) / len(images)).float()  # (D,)
        count, width = images.shape
        self._lifted = torch.empty((count, width + 1), device=device)  # [x, -|x|^2/2]
        norms = torch.empty(count, dtype=torch.float64, device=device)
        for rows in self._blocks():
            shifted = self.images[rows].float() - self.shift
            norms[rows] = shifted.double().square().sum(dim=1)  # exact: integers
            self._lifted[rows, :width] = shifted
        self._lifted[:, width] = norms * -0.5
        self._largest = float(norms.max())
        # A query has a row of s, and the pixels and differences of its candidates: 16 bytes a value.
        self.tile = rows_within(TILE_BYTES, max(4 * count, 16 * (k + SPARE) * width), 1024)

    def prepare(self, pixels: Array) -> DeviceQueries:
        """Return uint8 queries (B, D) with their lift, on the device."""
        moved = torch.from_numpy(np.require(pixels, requirements=["C", "W"])).to(self.device)
        ones = torch.ones((len(moved), 1), device=self.device)
        return DeviceQueries(moved, torch.cat([moved.float() - self.shift, ones], dim=1))

    def search(self, queries: DeviceQueries) -> torch.Tensor:
        """Return the k nearest training indices, int64 (B, k), nearest first, on the device."""
        found = torch.empty((len(queries.pixels), self.k), dtype=torch.int64, device=self.device)
        for start in range(0, len(found), self.tile):
            rows = slice(start, start + self.tile)
            found[rows] = self._search_tile(queries.pixels[rows], queries.lifted[rows])
        return found

    def error_bound(self, lifted: torch.Tensor) -> torch.Tensor:
        """Return e of `search.py` for each query, float64 (B,)."""
        terms = (lifted.shape[1] + 1) * UNIT
        largest = torch.tensor(self._largest, dtype=torch.float64, device=self.device)
        norms = lifted[:, :-1].double().square().sum(dim=1).sqrt()
        return (norms * largest.sqrt() + largest / 2) * (terms / (1 - terms))

    def _search_tile(self, queries: torch.Tensor, lifted: torch.Tensor) -> torch.Tensor:
        count = len(self.images)
        listed = min(self.k + SPARE, count)
        with full_float32():
            products = lifted @ self._lifted.T  # (B, N): s
        values, columns = products.topk(listed, dim=1)  # (B, k + SPARE), largest first
        least = values[:, self.k - 1].double() - 2 * self.error_bound(lifted)
        certain = values[:, -1].double() < least if listed < count else torch.ones_like(least, dtype=torch.bool)
        differences = self.images[columns].int() - queries[:, None].int()  # (B, k + SPARE, D)
        found = self._nearest(differences.square().sum(dim=2, dtype=torch.int64), columns)
        if not bool(certain.all()):
            found[~certain] = self._search_full(queries[~certain])
        return found

    def _nearest(self, distances: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Return the k columns of smallest (distance, index)."""
        order = (distances * len(self.images) + columns).topk(self.k, dim=1, largest=False).indices
        return columns.gather(1, order)

    def _search_full(self, queries: torch.Tensor) -> torch.Tensor:
        columns = torch.arange(len(self.images), device=self.device)
        found = []
        step = rows_within(TILE_BYTES, 16 * max(self.images.shape), 64)
        for start in range(0, len(queries), step):
            wide = queries[start : start + step].double() - self.shift
            parts = []
            for rows in self._blocks():
                images = self.images[rows].double() - self.shift
                norms = wide.square().sum(1)[:, None] + images.square().sum(1)
                parts.append(norms - 2 * wide @ images.T)  # exact: integers below 2^53
            found.append(self._nearest(torch.cat(parts, dim=1).long(), columns.expand(len(wide), -1)))
        return torch.cat(found)

    def _blocks(self) -> Iterator[slice]:
        """Yield slices of the training images whose pixels, as float64 and once more, fit in a tile."""
        step = rows_within(TILE_BYTES, 16 * self.images.shape[1], 4096)
        return (slice(start, start + step) for start in range(0, len(self.images), step))
