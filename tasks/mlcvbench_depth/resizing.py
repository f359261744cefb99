"""Resizing of maps: bilinear or nearest, pixel centres at half-integers, without antialiasing.

That is `torch.nn.functional.interpolate` with `mode="bilinear", align_corners=False` or `mode="nearest-exact"`, and
OpenCV's INTER_LINEAR; its INTER_NEAREST and torch's `nearest` round down instead and move a map by half a pixel.
"""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array

BILINEAR, NEAREST = "bilinear", "nearest"
WAYS = (BILINEAR, NEAREST)


def resized(values: Array, shape: tuple[int, int], way: str) -> Array:
    """Return a map (h, w) at the size (H, W), float32.

    >>> resized(np.float32([[0, 4]]), (1, 4), "bilinear").tolist()
    [[0.0, 1.0, 3.0, 4.0]]
    """
    rows, columns = (_centres(had, wanted) for had, wanted in zip(values.shape, shape, strict=True))
    if way == NEAREST:
        picked: Array = values[np.floor(rows + 0.5).astype(np.int64)[:, None], np.floor(columns + 0.5).astype(np.int64)]
        return picked
    return _blend(_blend(values, rows, 0), columns, 1).astype(np.float32)


def resized_disparity(disparity: Array, shape: tuple[int, int], way: str) -> Array:
    """Return a disparity map, 0 = none, at another size: its numbers are pixels and grow with the width.

    A pixel that would be blended with one without estimate has none.
    """
    factor = np.float32(shape[1] / disparity.shape[1])
    grown = resized(disparity, shape, way) * factor
    if way == BILINEAR:
        grown[resized((disparity == 0).astype(np.float32), shape, way) > 0] = 0
    return grown


def _centres(had: int, wanted: int) -> Array:
    """Return where the centres of `wanted` pixels lie among those of `had`, float64 from 0 to had - 1."""
    places: Array = np.clip((np.arange(wanted) + 0.5) * (had / wanted) - 0.5, 0, had - 1)
    return places


def _blend(values: Array, places: Array, axis: int) -> Array:
    """Return float64 values at `places` along an axis, interpolated linearly between the two neighbours."""
    low = np.floor(places).astype(np.int64)
    share = (places - low).reshape((-1, 1) if axis == 0 else (1, -1))
    first, second = np.take(values, low, axis), np.take(values, low + (places > low), axis)
    with np.errstate(invalid="ignore"):  # a neighbour with weight 0 may be inf, and is not used
        return np.where(share > 0, first * (1.0 - share) + second * share, first)
