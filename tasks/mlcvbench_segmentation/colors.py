"""Colours that stand for classes: a table of them, and the class of each pixel of a picture."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from mlcvbench.contract import Array

UNKNOWN = -1
MAX_COLORS = (1 << 16) - 2


class ColorClasses:
    """The class (or the ignored value) of each colour 0xRRGGBB; falsy when empty."""

    def __init__(self, classes: Mapping[int, int] | None = None) -> None:
        self.classes = dict(classes or {})

    def __bool__(self) -> bool:
        return bool(self.classes)

    def of_colors(self, colors: Array) -> Array:
        """Return the class of each of a few colours uint8 (N, 3) as int32 (N,), -1 for an unknown one."""
        return np.array([self.classes.get(color, UNKNOWN) for color in packed(colors).tolist()], dtype=np.int32)

    def of_pixels(self, pixels: Array) -> Array:
        """Return the class of each pixel of a picture uint8 (H, W, 3) as int32 (H, W), -1 for an unknown colour."""
        classes: Array = self._of_rows[self._rows[packed(pixels)]]
        return classes

    @cached_property
    def _rows(self) -> Array:
        """The row of each of the 2^24 colours in the table, from 1; only pages that hold a colour take memory."""
        rows = np.zeros(1 << 24, dtype=np.uint16)
        rows[list(self.classes)] = np.arange(1, len(self.classes) + 1)
        return rows

    @cached_property
    def _of_rows(self) -> Array:
        return np.array([UNKNOWN, *self.classes.values()], dtype=np.int32)


def packed(colors: Array) -> Array:
    """Return colours uint8 (..., 3) as uint32 (...) 0xRRGGBB.

    >>> hex(packed(np.array([1, 2, 255], np.uint8)))
    '0x102ff'
    """
    levels = colors.astype(np.uint32)
    one: Array = (levels[..., 0] << 16) | (levels[..., 1] << 8) | levels[..., 2]
    return one


def color_text(color: Array) -> str:
    """Return a colour uint8 (3,) as messages write it, such as `(128, 0, 0)`."""
    return "({}, {}, {})".format(*color.tolist())
