"""Boxes and points that a detector starts from: the same ones around each cell of each map of a pyramid."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

Grid = tuple[int, int]
"""Height and width of a map, in cells."""


def octave_sizes(size: float, count: int = 3) -> list[float]:
    """Return `count` sizes an octave from `size` on: RetinaNet's and EfficientDet's 2^0, 2^(1/3), 2^(2/3) times it.

    >>> [round(size, 2) for size in octave_sizes(32)]
    [32.0, 40.32, 50.8]
    """
    return [size * 2 ** (step / count) for step in range(count)]


def shaped(sizes: Iterable[float], ratios: Sequence[float]) -> list[tuple[float, float]]:
    """Return (width, height) in pixels of every ratio = height / width at every size = sqrt(area), sizes innermost.

    >>> shaped([32], [1.0, 4.0])
    [(32.0, 32.0), (16.0, 64.0)]
    """
    every = list(sizes)
    return [(size / math.sqrt(ratio), size * math.sqrt(ratio)) for ratio in ratios for size in every]


def points(grid: Grid, stride: float, offset: float = 0.5) -> torch.Tensor:
    """Return the place of each cell, ((column + offset) stride, (row + offset) stride) in pixels: float32 (H W, 2).

    Cells go row by row, as a map's last two axes do when they are flattened.
    """
    rows, columns = torch.meshgrid(*(torch.arange(side, dtype=torch.float32) for side in grid), indexing="ij")
    return (torch.stack((columns, rows), dim=-1).reshape(-1, 2) + offset) * stride


@dataclass(frozen=True)
class AnchorLayout:
    """Anchors of (width, height) `shapes[level]` in pixels around each cell of a map of `strides[level]`.

    `offset`: where in its cell an anchor's centre is. 0.5 is the middle; 0 is torchvision's, for its weights.
    """

    shapes: Sequence[Sequence[tuple[float, float]]]
    strides: Sequence[int]
    offset: float = 0.5

    @property
    def per_cell(self) -> list[int]:
        """How many anchors a cell has, by level."""
        return [len(shapes) for shapes in self.shapes]

    def on(self, grids: Sequence[Grid]) -> list[torch.Tensor]:
        """Return the anchors on maps of these (H, W), by level: float32 (H W A, 4), those of a cell together."""
        return [
            _around(points(grid, stride, self.offset), torch.tensor(shapes, dtype=torch.float32))
            for grid, stride, shapes in zip(grids, self.strides, self.shapes, strict=True)
        ]


def by_anchor(maps: torch.Tensor, width: int) -> torch.Tensor:
    """Return a head's outputs (B, A width, H, W) as (B, H W A, width), in the order of the anchors."""
    count, channels, height, across = maps.shape
    split = maps.reshape(count, channels // width, width, height, across)
    return split.permute(0, 3, 4, 1, 2).reshape(count, height * across * (channels // width), width)


def inside(anchors: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Tell which anchors (N, 4) lie inside an image of (H, W) pixels, bool (N,).

    Faster R-CNN trains on these alone: the others bring large errors that cannot be corrected (Ren et al. 2015, 3.3).
    """
    height, width = size
    return (anchors[:, :2] >= 0).all(1) & (anchors[:, 2] <= width) & (anchors[:, 3] <= height)


def _around(centres: torch.Tensor, shapes: torch.Tensor) -> torch.Tensor:
    """Return a box of each shape (A, 2) around each centre (N, 2): (N A, 4)."""
    half = torch.cat((-shapes, shapes), dim=1) / 2
    return (centres.repeat(1, 2)[:, None] + half).reshape(-1, 4)
