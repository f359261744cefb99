"""Images whose pixels are read as stored: label maps, colours that stand for classes, 16-bit measurements.

The pixel format decides how a file is read; nothing is converted on the way, because Pillow's conversions clip 16-bit
values to 255 and turn palette indices into colours.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlcvbench.errors import DataError
from mlcvbench.files.pillow_warnings import as_errors
from mlcvbench.limits import MAX_IMAGE_BYTES, MAX_PIXELS

FORMATS = ("PNG", "TIFF", "BMP", "GIF", "PPM")
"""Lossless formats: JPEG would change labels."""
_BYTE_MODES = ("1", "L", "P")
_WORD_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
_COLOR_MODES = ("RGB", "RGBA")
_OPAQUE = 255
_NUMBER_MODES = _BYTE_MODES + _WORD_MODES


class Pixels(NamedTuple):
    """The stored pixels of an image file.

    `values`: uint8 (H, W) of 1-, 8-bit or palette files, uint16 (H, W) of 16-bit ones, uint8 (H, W, 3) of colours.
    `palette`: uint8 (N, 3), the colour of each value of a palette file, else None.
    """

    values: NDArray[Any]
    palette: NDArray[np.uint8] | None


def read_raster(path: Path) -> NDArray[Any]:
    """Return the stored numbers of a one-channel image: uint8 (H, W) of 1-, 8-bit or palette files, uint16 of 16-bit.

    DataError names the file: missing, not an allowed format, damaged, truncated, too large, with several frames, or
    with colours instead of numbers.
    """
    return _read(path, _NUMBER_MODES).values


def raster_bits(path: Path) -> int | None:
    """Return the bits of the numbers in a PNG of one channel, 8 or 16, from its header; None for every other file.

    Faults of the file are reported when it is read.
    """
    from PIL import Image

    try:
        with as_errors(), Image.open(path, formats=("PNG",)) as image:
            return 16 if image.mode in _WORD_MODES else 8 if image.mode in _BYTE_MODES else None
    except Exception:  # noqa: BLE001 - Pillow raises anything on damaged files
        return None


def decode_raster(content: bytes, name: str) -> NDArray[Any]:
    """Return the numbers of a one-channel image as `read_raster` does; DataError calls it `name`."""
    if len(content) > MAX_IMAGE_BYTES:
        raise DataError(f"{name}: has {len(content)} bytes; the most for an image is {MAX_IMAGE_BYTES}.")
    return _decode(io.BytesIO(content), name, _NUMBER_MODES).values


def read_pixels(path: Path) -> Pixels:
    """Return the numbers of a one-channel image with its palette, or the colours of one with three channels.

    A fourth channel is dropped if it is opaque everywhere. DataError as in `read_raster`, and for transparent pixels.
    """
    return _read(path, _NUMBER_MODES + _COLOR_MODES)


def _read(path: Path, modes: tuple[str, ...]) -> Pixels:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read as an image ({error}).") from None
    if size > MAX_IMAGE_BYTES:
        raise DataError(f"{path}: has {size} bytes; the most for an image is {MAX_IMAGE_BYTES}.")
    return _decode(path, str(path), modes)


def _decode(file: Path | IO[bytes], name: str, modes: tuple[str, ...]) -> Pixels:
    from PIL import Image

    try:
        with as_errors(), Image.open(file, formats=FORMATS) as image:
            _check(name, image, modes)
            return _pixels(name, image)
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow's decoders raise anything on damaged files
        raise DataError(f"{name}: cannot be read as an image ({error}).") from None


def _pixels(name: str, image: Any) -> Pixels:
    values = np.asarray(image)
    if image.mode in _COLOR_MODES:
        if image.mode == "RGBA" and (values[..., 3] != _OPAQUE).any():
            raise DataError(f"{name}: has transparent pixels, whose colour is unknown; save it without transparency.")
        return Pixels(values[..., :3], None)
    palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3) if image.mode == "P" else None
    return Pixels(np.ascontiguousarray(values, dtype=np.uint16 if image.mode in _WORD_MODES else np.uint8), palette)


def _check(name: str, image: Any, modes: tuple[str, ...]) -> None:
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise DataError(f"{name}: has {pixels} pixels; the most is {MAX_PIXELS}.")
    if image.mode not in modes:
        wanted = "one channel of 8 or 16 bits or a palette" + (", or colours (RGB)" if "RGB" in modes else "")
        raise DataError(
            f"{name}: wanted {wanted}, got {image.mode} ({len(image.getbands())} channel(s)); "
            "save the numbers themselves, not their colours."
        )
    if getattr(image, "n_frames", 1) > 1:
        raise DataError(f"{name}: holds {image.n_frames} frames; wanted a single image.")
