"""Pictures for toy data: discs, bars and checks on noise, quick to draw and quick to learn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array

SHAPES = ("disc", "bars", "checks")
_COLOURS = np.array([[200, 90, 60], [70, 190, 90], [80, 100, 210]])


class Drawn(NamedTuple):
    """`image` uint8 (H, W, 3) and, back to front, `masks` bool (n, H, W) of what is visible and `labels` int64 (n,)."""

    image: Array
    masks: Array
    labels: Array


def draw(size: tuple[int, int], count: int, generator: np.random.Generator, side: int | None = None) -> Drawn:
    """Draw `count` objects of `side` pixels (by default a third of the image) at random places.

    Later ones hide earlier ones; what is hidden whole is left out.
    """
    height, width = size
    image = generator.integers(90, 131, size=(height, width, 3))
    owner = np.full(size, -1)
    labels = np.arange(count) % len(SHAPES)
    for index, label in enumerate(labels):
        extent = min(side or max(1, min(size) // 3), height, width)
        top = int(generator.integers(height - extent + 1))
        left = int(generator.integers(width - extent + 1))
        window = slice(top, top + extent), slice(left, left + extent)
        inside = pattern(int(label), (extent, extent)) if SHAPES[label] == "disc" else np.ones((extent, extent), bool)
        shade = np.where(pattern(int(label), (extent, extent)), 1.0, 0.6)[..., None]  # (side, side, 1)
        image[window][inside] = (_COLOURS[label] * shade)[inside]
        owner[window][inside] = index
    masks = owner == np.arange(count)[:, None, None]  # (n, H, W)
    visible = masks.reshape(count, height * width).any(axis=1)
    return Drawn(image.astype(np.uint8), masks[visible], labels[visible].astype(np.int64))


def pattern(label: int, size: tuple[int, int]) -> Array:
    """Return where a shape is bright, bool (H, W)."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    disc = (y - height / 2) ** 2 + (x - width / 2) ** 2 <= (min(height, width) / 3) ** 2
    return np.asarray((disc, y // 2 % 2 == 0, (y // 4 + x // 4) % 2 == 0)[label])
