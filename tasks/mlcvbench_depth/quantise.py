"""The storage form of predictions: disparity in 1/256 pixel as KITTI stores it, depth in metres."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.errors import PredictionError

STEPS = 256
"""Disparities are stored in steps of 1/256 pixel."""
MOST = 255.0
"""Pixels; a map with larger disparities is stored as float32."""
FIELDS = ("disparity", "depth")
DTYPES = {"disparity": ("uint16", "float32"), "depth": ("float32",)}


def store_disparity(disparity: Any, where: str) -> Array:
    """Return a disparity map in its storage type: uint16 in 1/256 px, or float32 px beyond 255 px; 0 = no estimate.

    uint16 comes in as it is. Floats are pixels, finite, 0 = no estimate; they are rounded to 1/256 px, and an estimate
    below 1/512 px becomes 1/256 px, as in KITTI's development kit, so that it does not turn into a hole.
    PredictionError says what is wrong.

    >>> store_disparity(np.array([[0.0, 0.001, 1.5]]), "").tolist()
    [[0, 1, 384]]
    """
    if isinstance(disparity, np.ndarray) and disparity.dtype == np.uint16:
        return _checked_shape(disparity, where).copy()
    pixels = _checked_floats(disparity, where, "uint16 in 1/256 px or floats in px")
    if pixels.max() > MOST:
        return np.array(pixels, dtype=np.float32, order="C")
    steps = pixels * STEPS  # exact in any type: a power of two
    np.rint(steps, out=steps)
    steps[(steps == 0) & (pixels > 0)] = 1
    return steps.astype(np.uint16)


def store_depth(depth: Any, where: str) -> Array:
    """Return a depth map as float32 metres, not negative; inf is farther than any cap. PredictionError otherwise."""
    checked = _checked_floats(depth, where, "floats in metres", endless=True)
    with np.errstate(over="ignore"):  # what float32 cannot hold counts as inf
        return np.array(checked, dtype=np.float32, order="C")


STORE = {"disparity": store_disparity, "depth": store_depth}


def _checked_shape(value: Array, where: str) -> Array:
    if value.ndim != 2 or not value.size:
        raise PredictionError(f"{where}: wanted an array (H, W), got shape {value.shape}.")
    return value


def _checked_floats(value: Any, where: str, wanted: str, *, endless: bool = False) -> Array:
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        got = f"dtype {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
        raise PredictionError(f"{where}: wanted {wanted}, got {got}.")
    _checked_shape(value, where)
    most = np.inf if endless else np.finfo(np.float32).max
    if not (value.min() >= 0 and value.max() <= most):
        bad = value[~((value >= 0) & (value <= most))][0]
        kind = (
            "numbers from 0 upwards, inf for beyond the cap"
            if endless
            else "finite numbers from 0 (no estimate) upwards"
        )
        raise PredictionError(f"{where}: wanted {kind}, got {bad}.")
    return value
