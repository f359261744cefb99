"""Label maps as arrays in files: `.npy`, or `.npz` with a single array, integers (H, W)."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.errors import DataError
from mlcvbench.files.npy import open_npy
from mlcvbench.files.npz import open_npz
from mlcvbench.limits import MAX_PIXELS

ARRAY_SUFFIXES = (".npy", ".npz")
_MOST = (1 << 16) - 1


def read_label_array(path: Path) -> Array:
    """Return the values of a file as uint8 or uint16 (H, W).

    DataError names the file: damaged, several arrays, not integers, another shape, values out of range.
    """
    if path.suffix.lower() == ".npy":
        array = open_npy(path)
        _check(path, array.dtype, array.shape)
        return _as_values(path, np.array(array, order="C"))
    with open_npz(path) as file:
        if len(file.headers) != 1:
            raise DataError(f"{path}: wanted a single array, got {', '.join(sorted(file.headers)) or 'none'}.")
        ((name, header),) = file.headers.items()
        _check(path, header.dtype, header.shape)
        return _as_values(path, file.read(name))


def _check(path: Path, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> None:
    if dtype.kind not in "iub" or len(shape) != 2 or not 0 < math.prod(shape) <= MAX_PIXELS:
        scores = "; of scores save the class of the largest" if len(shape) == 3 and dtype.kind == "f" else ""
        raise DataError(
            f"{path}: wanted whole numbers (H, W) of at most {MAX_PIXELS} pixels, got {dtype} {shape}{scores}."
        )


def _as_values(path: Path, array: Array) -> Array:
    if array.dtype == np.uint8 or array.dtype.kind == "b":
        return array.astype(np.uint8, copy=False)
    low, high = int(array.min()), int(array.max())
    if low < 0 or high > _MOST:
        raise DataError(f"{path}: wanted values from 0 to {_MOST}, got {low if low < 0 else high}.")
    return array.astype(np.uint16)
