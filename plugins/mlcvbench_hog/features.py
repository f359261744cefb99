"""Histograms of oriented gradients on a grid of blocks, for whole images and their pyramids.

Dalal and Triggs 2005, section 6: square-root gamma, [-1 0 1] gradients of the strongest colour channel, 9 unsigned
orientations over `cell` x `cell` pixels, blocks of 2 x 2 cells every cell, L2-Hys normalised. Computed by OpenCV.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlcvbench.contract import Array

ORIENTATIONS = 9
CHANNELS = 4 * ORIENTATIONS
"""Numbers of a block: its four cells' histograms."""
_CLIP = 0.2


def block_grid(image: Array, cell: int) -> Array:
    """Return float32 (rows - 1, columns - 1, 36): the blocks of an image uint8 (rows x cell, columns x cell, 3)."""
    height, width = image.shape[:2]
    flat = _descriptor(width, height, cell).compute(image)
    columns, rows = width // cell - 1, height // cell - 1
    grid: Array = flat.reshape(columns, rows, CHANNELS).transpose(1, 0, 2)  # OpenCV goes by columns
    return np.ascontiguousarray(grid)


@functools.lru_cache(maxsize=256)
def _descriptor(width: int, height: int, cell: int) -> Any:
    import cv2

    one, two = (cell, cell), (2 * cell, 2 * cell)
    normalisation = cv2.HOGDescriptor_L2Hys
    return cv2.HOGDescriptor(
        (width, height), two, one, one, ORIENTATIONS, 1, -1.0, normalisation, _CLIP, True, 64, False
    )


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a pyramid: `blocks` float32 (R, C, 36), `scale` (x, y): level pixels a pixel of the image.

    The level is padded by one cell on each side, so block (r, c) begins at pixel ((c - 1) x cell, (r - 1) x cell).
    """

    blocks: Array
    scale: tuple[float, float]

    def fits(self, rows: int, columns: int) -> bool:
        """Return whether a window of so many blocks fits."""
        return bool(self.blocks.shape[0] >= rows and self.blocks.shape[1] >= columns)


def level_sizes(width: int, height: int, scales: Array, cell: int) -> list[tuple[int, int]]:
    """Return the width and height of each level, leaving out those below two cells a side."""
    sizes = [(round(width * scale), round(height * scale)) for scale in scales.tolist()]
    return [size for size in sizes if min(size) >= 2 * cell]


def level_grid(width: int, height: int, cell: int) -> tuple[int, int]:
    """Return the rows and columns of blocks of a level with these sides."""
    return -(-height // cell) + 1, -(-width // cell) + 1


def pyramid(image: Array, scales: Array, cell: int) -> Iterator[Level]:
    """Yield the levels of an image uint8 (H, W, 3), one for each scale that leaves at least two cells a side."""
    height, width = image.shape[:2]
    for size in level_sizes(width, height, scales, cell):
        blocks = block_grid(pad(resize(image, *size), cell), cell)
        yield Level(blocks, (size[0] / width, size[1] / height))


def resize(image: Array, width: int, height: int) -> Array:
    """Return an image resized: averaged when it shrinks, interpolated when it grows."""
    import cv2

    shrinks = width * height < image.shape[0] * image.shape[1]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def pad(image: Array, cell: int) -> Array:
    """Return an image with one cell more on each side, and to the right and below whole cells; edges repeat."""
    import cv2

    right, below = (cell + -side % cell for side in (image.shape[1], image.shape[0]))
    return cv2.copyMakeBorder(image, cell, below, cell, right, cv2.BORDER_REPLICATE)


def as_color(image: Array) -> Array:
    """Return an image uint8 (H, W) or (H, W, 3) as contiguous (H, W, 3)."""
    if image.ndim == 2:
        image = np.repeat(image[:, :, None], 3, axis=2)
    return np.ascontiguousarray(image)
