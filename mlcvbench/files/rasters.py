"""Images whose pixels are read as stored: label maps, colours that stand for classes, 16-bit measurements.

The pixel format decides how a file is read; nothing is converted on the way, because Pillow's conversions clip 16-bit
values to 255 and turn palette indices into colours.
"""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlcvbench.errors import DataError
from mlcvbench.files.arrow import load_pyarrow
from mlcvbench.files.pillow_warnings import as_errors
from mlcvbench.limits import MAX_IMAGE_BYTES, MAX_PIXELS

FORMATS = ("PNG", "TIFF", "BMP", "GIF", "PPM")
"""Lossless formats: JPEG would change labels."""
_BYTE_MODES = ("1", "L", "P")
_WORD_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
_COLOR_MODES = ("RGB", "RGBA")
_OPAQUE = 255
_NUMBER_MODES = _BYTE_MODES + _WORD_MODES
_SHARED: dict[str, np.dtype[Any]] = {"L": np.dtype(np.uint8), "P": np.dtype(np.uint8), "I;16": np.dtype("<u2")}
"""The pixel formats whose memory is that of an array."""
LEAST_SHARED = 1 << 18
"""Pixels from which on an image is worth importing pyarrow for: it shares the memory that Pillow copies twice."""
_PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_PNG_HEADER = len(_PNG_START) + 10
_GREY, _PALETTE = 0, 3
_WHOLE = 1 << 24
"""Whole numbers up to this are exact in float32."""


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
    """Return the bits of the numbers that a PNG of one channel is read as, 8 or 16, from its header; None for every
    other file.

    Faults of the file are reported when it is read.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_PNG_HEADER)
    except OSError:
        return None
    if len(header) < _PNG_HEADER or not header.startswith(_PNG_START):
        return None
    bits, kind = header[-2:]
    return 16 if (bits, kind) == (16, _GREY) else 8 if kind in (_GREY, _PALETTE) else None


def decode_raster(content: bytes, name: str) -> NDArray[Any]:
    """Return the numbers of a one-channel image as `read_raster` does; DataError calls it `name`."""
    _check_bytes(len(content), name)
    return _decode(content, name, _NUMBER_MODES).values


def divided(numbers: NDArray[Any], scale: float) -> NDArray[np.float32]:
    """Return the numbers of an image, uint8 or uint16, divided by `scale`: in float64, rounded to float32."""
    if 1 <= scale <= _WHOLE and scale == int(scale):
        quotients: NDArray[np.float32] = np.divide(numbers, np.float32(scale), dtype=np.float32)
        return quotients  # the same bits, as float64 has more than twice the digits
    return (numbers / scale).astype(np.float32)


def read_pixels(path: Path) -> Pixels:
    """Return the numbers of a one-channel image with its palette, or the colours of one with three channels.

    A fourth channel is dropped if it is opaque everywhere. DataError as in `read_raster`, and for transparent pixels.
    """
    return _read(path, _NUMBER_MODES + _COLOR_MODES)


def _read(path: Path, modes: tuple[str, ...]) -> Pixels:
    try:
        size = path.stat().st_size
        _check_bytes(size, str(path))
        with path.open("rb") as file:
            content = file.read(size)  # at once: Pillow would read a few bytes at a time
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read as an image ({error}).") from None
    return _decode(content, str(path), modes)


def _check_bytes(size: int, name: str) -> None:
    if size > MAX_IMAGE_BYTES:
        raise DataError(f"{name}: has {size} bytes; the most for an image is {MAX_IMAGE_BYTES}.")


class _Content(io.BytesIO):
    """The bytes of a file, which Pillow's messages call by its name."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self._name = name

    def __repr__(self) -> str:
        return repr(self._name)


def _decode(content: bytes, name: str, modes: tuple[str, ...]) -> Pixels:
    from PIL import Image

    try:
        with as_errors(), Image.open(_Content(content, name), formats=FORMATS) as image:
            _check(name, image, modes)
            return _pixels(name, image)
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow's decoders raise anything on damaged files
        raise DataError(f"{name}: cannot be read as an image ({error}).") from None


def _pixels(name: str, image: Any) -> Pixels:
    image.load()
    if image.mode in _COLOR_MODES:
        values = np.asarray(image)
        if image.mode == "RGBA" and (values[..., 3] != _OPAQUE).any():
            raise DataError(f"{name}: has transparent pixels, whose colour is unknown; save it without transparency.")
        return Pixels(values[..., :3], None)
    palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3) if image.mode == "P" else None
    kind = np.uint16 if image.mode in _WORD_MODES else np.uint8
    return Pixels(np.ascontiguousarray(_numbers(image), dtype=kind), palette)


def _numbers(image: Any) -> NDArray[Any]:
    """Return the pixels of a decoded image of one channel, without a copy where they lie in one piece."""
    if image.mode in _SHARED and image.width * image.height >= LEAST_SHARED:
        with suppress(ValueError):  # Pillow's pieces have at most 16 MB
            memory = load_pyarrow().array(image).buffers()[1]
            numbers: NDArray[Any] = np.frombuffer(memory, _SHARED[image.mode])
            return numbers.reshape(image.height, image.width)
    return np.asarray(image)


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
