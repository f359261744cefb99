"""Search that computes the distance of every pair of images, in torch, on a CPU or a GPU. Load it lazily.

Floating point only shortlists: with every value within a known share of the true one, the true neighbours, ties
included, are among those whose value is at most the k-th smallest and a little more. They are ranked by `distances.py`
on the host, where a rank depends on the two images alone; hence the neighbours are the same on every device.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from mlcvbench.contract import Array
from mlcvbench_knn.neighbours import BLOCK_BYTES, first_k, rows_within

CPU_BYTES, GPU_BYTES = 2**25, 2**28
"""Memory of the pixels of one block, in the type they are compared in."""


@dataclass(frozen=True, slots=True)
class ExhaustiveQueries:
    """Queries, uint8 (B, D): `pixels` on the host, `moved` on the device."""

    pixels: Array
    moved: torch.Tensor


class ExhaustiveIndex(ABC):
    """The training images, uint8 (N, D), on a torch device, compared one by one. `tile` queries are taken at once."""

    tile = 64
    slack = 0.0
    """Values at most this share above the k-th smallest may belong to one of the k nearest."""

    def __init__(self, images: Array, k: int, device: torch.device) -> None:
        self.images, self.k, self.device = images, k, device
        self.moved = self._move(images)
        self.block_bytes = CPU_BYTES if device.type == "cpu" else GPU_BYTES

    def prepare(self, pixels: Array) -> ExhaustiveQueries:
        """Return uint8 queries (B, D), on the host and on the device."""
        return ExhaustiveQueries(pixels, self._move(pixels))

    def search(self, queries: ExhaustiveQueries) -> Array:
        """Return the k nearest training indices, int64 (B, k), nearest first."""
        found = np.empty((len(queries.pixels), self.k), np.int64)
        tile = rows_within(BLOCK_BYTES, 8 * len(self.images), self.tile)
        for start in range(0, len(found), tile):
            rows = slice(start, start + tile)
            found[rows] = self._search_tile(queries.pixels[rows], queries.moved[rows])
        return found

    @abstractmethod
    def values(self, queries: torch.Tensor) -> torch.Tensor:
        """Return float64 (B, N) on the device for uint8 queries (B, D): smaller for nearer images, up to rounding."""

    @abstractmethod
    def ranks(self, pixels: Array, rows: Array, columns: Array, values: Array) -> Array:
        """Return (T,) by which the candidates of one query are ordered, equal for equal distances.

        `rows` of the queries `pixels`, uint8 (B, D), and `columns` of the images name the candidates (T,), which have
        these `values`.
        """

    def blocks(self, row_bytes: int) -> Iterator[slice]:
        """Yield slices of the training images; one image takes `row_bytes` while it is compared."""
        step = rows_within(self.block_bytes, row_bytes, 4096)
        return (slice(start, start + step) for start in range(0, len(self.images), step))

    def _search_tile(self, pixels: Array, moved: torch.Tensor) -> Array:
        values = self.values(moved)  # (B, N)
        kth = values.topk(self.k, dim=1, largest=False).values[:, -1:]
        places = (values <= kth + self.slack * kth.abs()).nonzero(as_tuple=True)
        rows, columns, listed = (part.cpu().numpy() for part in (*places, values[places]))
        return first_k(rows, columns, self.ranks(pixels, rows, columns, listed), len(pixels), self.k)

    def _move(self, pixels: Array) -> torch.Tensor:
        return torch.from_numpy(np.require(pixels, requirements=["C", "W"])).to(self.device)
