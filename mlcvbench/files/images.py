"""Untrusted image files: few formats, bounded size, and an explicit conversion of every pixel format to 8 bits.

Pillow decodes; a warning counts as an error, and a file that does not decode completely is refused by name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlcvbench.errors import DataError, MlcvbenchError
from mlcvbench.files.pillow_warnings import as_errors
from mlcvbench.limits import IMAGE_FORMATS, MAX_IMAGE_BYTES, MAX_PIXELS

if TYPE_CHECKING:
    from PIL import Image

Color = Literal["rgb", "grey"]
_ORIENTATION = 0x0112
_QUARTER_TURNED = (5, 6, 7, 8)
_SEVERAL_PICTURES = ("JPEG", "MPO")
_TURNED: ContextVar[set[Path] | None] = ContextVar("turned", default=None)


def image_size(path: Path) -> tuple[int, int]:
    """Return the (height, width) of what `read_image` will return.

    Most formats state it in their header; a PNG is decoded, since its orientation may follow the pixels.
    """
    with _opened(path) as image:
        turned = image.format != "TIFF" and image.getexif().get(_ORIENTATION) in _QUARTER_TURNED
        return (image.width, image.height) if turned else (image.height, image.width)


def read_image(path: Path, color: Color = "rgb", size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Return an image as uint8 (H, W, 3), or (H, W) when `color` is `grey`.

    It is rotated by its EXIF orientation. Transparent pixels are composited on white. 16-bit greys are divided by 257
    and rounded (of 16-bit colours Pillow keeps the high byte); floating-point and 32-bit images are refused, since
    their range is unknown. A JPEG with several pictures gives the first; other files with several frames are refused.
    `size` (height, width) resizes with Pillow's antialiased bilinear filter.

    DataError names the file: missing, not an allowed format, damaged, truncated, over `MAX_PIXELS`.
    """
    with _opened(path) as image:
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format not in _SEVERAL_PICTURES:
            raise DataError(f"{path}: holds {frames} frames; wanted a single picture.")
        image.load()
        orientation = image.getexif().get(_ORIENTATION, 1)
        if orientation not in range(2, 9):
            return _plain(path, image, color, size)
        noted = _TURNED.get()
        if noted is not None:
            noted.add(path)
        pixels = _upright(_to_bytes(path, image, color), orientation)
        return np.ascontiguousarray(pixels if size is None else _resized(pixels, size))


@contextlib.contextmanager
def turned_images() -> Iterator[set[Path]]:
    """Collect the files that `read_image` rotates by their EXIF orientation while the block runs."""
    found: set[Path] = set()
    token = _TURNED.set(found)
    try:
        yield found
    finally:
        _TURNED.reset(token)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image within the limits; every Pillow error or warning becomes one DataError."""
    from PIL import Image

    try:
        with as_errors():
            size = path.stat().st_size
            if size > MAX_IMAGE_BYTES:
                raise DataError(f"{path}: has {size} bytes; the most for an image is {MAX_IMAGE_BYTES}.")
            with Image.open(path, formats=IMAGE_FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise DataError(f"{path}: has {image.width} x {image.height} pixels; the most is {MAX_PIXELS}.")
                yield image
    except MlcvbenchError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such image.") from None
    except Exception as error:  # noqa: BLE001 - decoders raise any exception on damaged files
        said = f"{type(error).__name__}: {_first_line(error)}".replace(f" {str(path)!r}", "")
        raise DataError(f"{path}: cannot be decoded as {', '.join(IMAGE_FORMATS)} ({said}).") from None


def _plain(path: Path, image: Image.Image, color: Color, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """Return the pixels of an upright image; one already in the wanted format is resized without a copy."""
    from PIL import Image

    if image.mode != ("L" if color == "grey" else "RGB") or image.has_transparency_data:
        pixels = _to_bytes(path, image, color)
        return np.ascontiguousarray(pixels if size is None else _resized(pixels, size))
    if size is not None and (image.height, image.width) != size:
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(image)


def _to_bytes(path: Path, image: Image.Image, color: Color) -> NDArray[np.uint8]:
    """Return the pixels in 8 bits; each pixel format is handled by name."""
    from PIL import Image

    mode = image.mode
    if mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint32)
        grey = ((values + 128) // 257).astype(np.uint8)  # 0..65535 to 0..255, never clipped
        return grey if color == "grey" else np.repeat(grey[:, :, None], 3, axis=2)
    if mode in {"I", "F"}:
        raise DataError(f"{path}: has {'32-bit' if mode == 'I' else 'floating-point'} pixels; wanted 8 or 16 bits.")
    if image.has_transparency_data:
        colored = image.convert("RGBA")
        canvas = Image.new("RGBA", colored.size, "white")
        image = Image.alpha_composite(canvas, colored)
    return np.asarray(image.convert("RGB").convert("L") if color == "grey" else image.convert("RGB"))


def _upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Undo one of the eight EXIF orientations; an unknown one counts as upright."""
    if orientation in _QUARTER_TURNED:
        pixels = pixels.swapaxes(0, 1)
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    return pixels


def _resized(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    from PIL import Image

    height, width = size
    if pixels.shape[:2] == (height, width):
        return pixels
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200]
