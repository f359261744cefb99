"""From light to bytes: box filter, square-root tone curve, noise, rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlcvbench_scenes.hashing import bell


def expose(light: NDArray[Any], samples: int, noise: float, key: int) -> NDArray[np.uint8]:
    """Return an image uint8 (H, W, 3) of linear light (3, samples * H, samples * W).

    The tone curve is a square root, under which photon noise has the same spread at any brightness: `noise`, in
    levels of 0..255.
    """
    if samples > 1:
        rows = light[:, 0::samples]
        for shift in range(1, samples):
            rows = rows + light[:, shift::samples]
        light = rows[:, :, 0::samples]
        for shift in range(1, samples):
            light = light + rows[:, :, shift::samples]
        light *= np.float32(1.0 / (samples * samples))
    levels = np.sqrt(np.minimum(light, np.float32(1.0)))
    levels *= np.float32(255.0)
    if noise:
        levels += bell(levels.shape, key) * np.float32(noise)
    levels += np.float32(0.5)
    np.floor(levels, out=levels)
    np.maximum(levels, np.float32(0.0), out=levels)
    np.minimum(levels, np.float32(255.0), out=levels)
    return np.ascontiguousarray(levels.astype(np.uint8).transpose(1, 2, 0))
