"""Files of measurements: PFM, 16-bit PNG and npz. Sizes are compared with the file before anything is allocated."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.errors import DataError
from mlcvbench.files.npy import open_npy
from mlcvbench.files.npz import open_npz
from mlcvbench.files.rasters import divided, read_raster
from mlcvbench.limits import MAX_PFM_HEADER_LINE, MAX_PIXELS

SUFFIXES = (".pfm", ".png", ".npz", ".npy")
KITTI_SCALE = 256.0


def read_map(path: Path, field: str, scale: float = KITTI_SCALE, *, eight_bits: bool = False) -> Array:
    """Return the float32 map (H, W) of a file as it is written, by its ending.

    `.pfm`: one channel. `.png`: 16 bits, divided by `scale`; 8 bits only with `eight_bits`. `.npz`: array `field`, or
    the only one; `.npy`: the array; floats (H, W). The caller interprets 0, inf and NaN.
    DataError names the file.
    """
    suffix = path.suffix.lower()
    readers: dict[str, Callable[[], Array]] = {
        ".pfm": lambda: read_pfm(path),
        ".png": lambda: read_png(path, scale, eight_bits=eight_bits),
        ".npz": lambda: _read_npz(path, field),
        ".npy": lambda: _read_npy(path),
    }
    if suffix not in readers:
        raise DataError(f"{path}: wanted a file ending in {', '.join(SUFFIXES)}.")
    return readers[suffix]()


def read_pfm(path: Path) -> Array:
    """Return a one-channel PFM as float32 (H, W), top row first.

    The header is `Pf`, width and height, and a scale whose sign is the byte order (negative = little endian). Its
    size is not applied: the files of Middlebury 2014 say -0.003922 and mean pixels. The data must fill the file.
    """
    try:
        with path.open("rb") as file:
            width, height, order = _read_pfm_header(file, path)
            held = os.fstat(file.fileno()).st_size - file.tell()
            if held != 4 * width * height:
                raise DataError(
                    f"{path}: its header says {width} x {height} pixels = {4 * width * height} bytes of data, "
                    f"but the file holds {held}."
                )
            data = np.frombuffer(file.read(held), dtype=f"{order}f4")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    if data.size != width * height:
        raise DataError(f"{path}: became shorter while it was read.")
    return np.ascontiguousarray(data.reshape(height, width)[::-1], dtype=np.float32)


def _read_pfm_header(file: IO[bytes], path: Path) -> tuple[int, int, str]:
    """Return width, height and byte order."""
    lines = [file.readline(MAX_PFM_HEADER_LINE) for _ in range(3)]
    kind, size, scale = (line.strip() for line in lines)
    if kind == b"PF":
        raise DataError(f"{path}: wanted a PFM with one channel (Pf), got three (PF).")
    if kind != b"Pf" or not all(line.endswith(b"\n") for line in lines):
        raise DataError(f"{path}: wanted a PFM file that begins with Pf, size and scale, got {lines[0][:8]!r}.")
    numbers = size.split()
    if len(numbers) != 2 or not all(number.isdigit() and len(number) <= 9 for number in numbers):
        raise DataError(f"{path}: wanted width and height in the second line, got {size[:40]!r}.")
    width, height = map(int, numbers)
    if not 0 < width * height <= MAX_PIXELS:
        raise DataError(f"{path}: has {width} x {height} pixels; wanted 1 to {MAX_PIXELS} in all.")
    try:
        factor = float(scale)
    except ValueError:
        factor = math.nan
    if not math.isfinite(factor) or factor == 0:
        raise DataError(
            f"{path}: wanted a scale that is not 0 in the third line (its sign is the byte order), got {scale[:40]!r}."
        )
    return width, height, "<" if factor < 0 else ">"


def read_png(path: Path, scale: float, *, eight_bits: bool = False) -> Array:
    """Return a PNG of 16 bits, or of 8 where these were asked for, divided by `scale` as float32 (H, W)."""
    values = read_raster(path)
    if values.dtype != np.uint16 and not eight_bits:
        raise DataError(
            f"{path}: wanted a 16-bit PNG, got 8 bits; if measurements are stored in them, as Middlebury's were until "
            "2006, say what they are divided by: data.scale=N for the truth, scale=N for predictions."
        )
    return divided(values, scale)


def _read_npz(path: Path, field: str) -> Array:
    with open_npz(path) as file:
        names = list(file.headers)
        name = field if field in file.headers else names[0]
        if field not in file.headers and len(names) != 1:
            raise DataError(
                f"{path}: wanted an array {field!r} or a single one, got {', '.join(sorted(names)) or 'none'}."
            )
        header = file.headers[name]
        _check_floats(path, header.dtype, header.shape)
        return file.read(name).astype(np.float32)


def _read_npy(path: Path) -> Array:
    array = open_npy(path)
    _check_floats(path, array.dtype, array.shape)
    return np.array(array, dtype=np.float32, order="C")


def _check_floats(path: Path, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> None:
    if dtype.kind != "f" or len(shape) != 2 or not 0 < math.prod(shape) <= MAX_PIXELS:
        raise DataError(f"{path}: wanted floats (H, W) of at most {MAX_PIXELS} pixels, got {dtype} {shape}.")


def as_truth(values: Array, path: Path) -> Array:
    """Return measured values with 0 = unknown; inf and NaN mean unknown too. DataError for negative ones."""
    if values.min() >= 0 and values.max() < np.inf:  # most files hold nothing else
        return values
    known = np.where(np.isfinite(values), values, np.float32(0))
    if known.min() < 0:
        raise DataError(f"{path}: wanted positive numbers, 0 or inf for unknown, got {known.min()}.")
    return known


def as_estimate(values: Array, field: str, path: Path) -> Array:
    """Return estimates, 0 = none. inf is no estimate of disparity, as Middlebury writes it, and a depth beyond any cap.

    DataError for negative ones and NaN.
    """
    endless = field == "disparity" and not values.max() < np.inf
    known = np.where(np.isposinf(values), np.float32(0), values) if endless else values
    if not known.min() >= 0:
        bad = known[~(known >= 0)][0]
        raise DataError(f"{path}: {_WANTED[field]}, got {bad}.{_hint(field, known)}")
    return known


_WANTED = {
    "disparity": "wanted numbers from 0 upwards, 0 or inf for no estimate",
    "depth": "wanted numbers from 0 upwards, inf for beyond the cap",
}


def _hint(field: str, values: Array) -> str:
    """Return a hint for disparities that all have the wrong sign; empty for other maps."""
    if field == "disparity" and values.max() <= 0:
        return " No disparity is positive: they count as x in the left image minus x in the right one; change the sign."
    return ""
