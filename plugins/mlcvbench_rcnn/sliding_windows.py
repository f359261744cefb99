"""Windows of all places and a few sizes and shapes: proposals that look at no pixel."""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array

LARGEST, SIZES, FACTOR = 1.0, 8, 2**0.5
"""The largest window in shorter sides of the image; sizes, and from one to the next."""
SHAPES = (0.5, 1.0, 2.0)
"""Height over width."""
STEP = 0.25
"""How far one window is from the next, in its sides."""


def sliding_windows(height: int, width: int, seed: int) -> Array:
    """Return windows inside an image, each size and shape on an even grid, in random order: float32 (P, 4).

    How many there are hardly depends on the size of the image; `seed` says which order.
    """
    parts = [np.zeros((0, 4))]
    for number in range(SIZES):
        side = LARGEST * min(height, width) / FACTOR**number
        for shape in SHAPES:
            wide, high = side / shape**0.5, side * shape**0.5
            if wide <= width and high <= height:
                x, y = (_places(room - own, own) for room, own in ((width, wide), (height, high)))
                corner = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
                parts.append(np.concatenate([corner, corner + np.array([wide, high])], axis=1))
    windows = np.random.default_rng(seed).permutation(np.concatenate(parts))
    inside: Array = np.minimum(windows, np.array([width, height] * 2)).astype(np.float32)
    return inside


def _places(room: float, side: float) -> Array:
    """Return places from 0 to `room`, at most `STEP` sides apart."""
    return np.linspace(0.0, room, 1 + int(np.ceil(room / (STEP * side))))
