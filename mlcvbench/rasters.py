"""Images whose pixels are numbers, not colours: label maps and 16-bit measurements, read as they are stored.

The pixel format decides how a file is read; nothing is converted on the way, because Pillow's conversions clip 16-bit
values to 255 and turn palette indices into colours.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlcvbench.errors import DataError
from mlcvbench.limits import MAX_IMAGE_BYTES, MAX_PIXELS

FORMATS = ("PNG", "TIFF", "BMP", "GIF", "PPM")
"""Formats without loss: a label that went through JPEG is no label any more."""
_BYTE_MODES = ("1", "L", "P")
_WORD_MODES = ("I;16", "I;16L", "I;16B", "I;16N")


def raster_size(path: Path) -> tuple[int, int]:
    """Return (height, width) from the header. DataError as `read_raster`."""
    return _read(path, header_only=True).shape[:2]


def read_raster(path: Path) -> NDArray[Any]:
    """Return the stored numbers of a one-channel image: uint8 (H, W) of 1-, 8-bit or palette files, uint16 of 16-bit.

    DataError names the file: missing, of no allowed format, damaged, cut short, too large, with several frames, or
    with colours instead of numbers.
    """
    return _read(path, header_only=False)


def _read(path: Path, *, header_only: bool) -> NDArray[Any]:
    from PIL import Image

    try:
        size = path.stat().st_size
        if size > MAX_IMAGE_BYTES:
            raise DataError(f"{path}: has {size} bytes; the most for an image is {MAX_IMAGE_BYTES}.")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(path, formats=FORMATS) as image:
                _check(path, image)
                if header_only:
                    return np.broadcast_to(np.uint8(0), (image.height, image.width))
                dtype = np.uint8 if image.mode in _BYTE_MODES else np.uint16
                return np.ascontiguousarray(np.asarray(image), dtype=dtype)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow's decoders raise anything on damaged files
        raise DataError(f"{path}: cannot be read as an image ({error}).") from None


def _check(path: Path, image: Any) -> None:
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise DataError(f"{path}: has {pixels} pixels; the most is {MAX_PIXELS}.")
    if image.mode not in _BYTE_MODES + _WORD_MODES:
        raise DataError(
            f"{path}: wanted one channel of 8 or 16 bits or a palette, got {image.mode} "
            f"({len(image.getbands())} channel(s)); save the numbers themselves, not their colours."
        )
    if getattr(image, "n_frames", 1) > 1:
        raise DataError(f"{path}: holds {image.n_frames} frames; wanted a single image.")
