"""Keys (legends): what each line and colour stands for, in rows or a column whose size is known before drawing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from mlcvbench.figures.canvas import Box, Dash
from mlcvbench.figures.lettering import SMALL, line_height, text_width

if TYPE_CHECKING:
    from mlcvbench.figures.canvas import Canvas

SAMPLE, SPACE, BETWEEN = 26, 6, 18
"""Pixels: the line or patch beside a text, the gap before the text, and the gap between keys."""
ROW = line_height(SMALL) + 3


class Key(NamedTuple):
    """A text and what it explains: a line, a line with a dot, a patch, a frame, a cross, or a vertical mark."""

    text: str
    color: str
    kind: Literal["line", "dotted line", "patch", "frame", "cross", "mark"] = "line"
    dash: Dash = ()
    width: float = 2.0
    alpha: float = 1.0


def rows_of(keys: Sequence[Key], width: int) -> list[list[Key]]:
    """Return the keys in rows of at most `width` pixels, each with at least one key."""
    rows: list[list[Key]] = []
    for key in keys:
        if rows and row_width([*rows[-1], key]) <= width:
            rows[-1].append(key)
        else:
            rows.append([key])
    return rows


def rows_height(rows: Sequence[Sequence[Key]]) -> int:
    """Return the height in pixels of rows of keys."""
    return ROW * len(rows)


def row_width(keys: Sequence[Key]) -> int:
    """Return the width in pixels of a row of keys."""
    return sum(SAMPLE + SPACE + text_width(key.text, SMALL) for key in keys) + BETWEEN * (len(keys) - 1)


def draw_row(canvas: Canvas, keys: Sequence[Key], left: int, y: float) -> None:
    """Draw keys side by side, centred at `y`."""
    for key in keys:
        _draw_sample(canvas, key, Box(left, round(y) - 6, left + SAMPLE, round(y) + 6))
        canvas.text(left + SAMPLE + SPACE, y, key.text)
        left += SAMPLE + SPACE + text_width(key.text, SMALL) + BETWEEN


def column_width(keys: Sequence[Key]) -> int:
    """Return the width in pixels of a column of keys."""
    return max(row_width([key]) for key in keys)


def draw_column(canvas: Canvas, keys: Sequence[Key], left: int, top: int) -> None:
    """Draw keys below one another."""
    for place, key in enumerate(keys):
        draw_row(canvas, [key], left, top + (place + 0.5) * ROW)


def draw_below(canvas: Canvas, rows: Sequence[Sequence[Key]], box: Box) -> None:
    """Draw rows of keys at the upper edge of a part of the canvas, centred horizontally."""
    for number, row in enumerate(rows):
        draw_row(canvas, row, box.left + (box.width - row_width(row)) // 2, box.top + (number + 0.5) * ROW)


def _draw_sample(canvas: Canvas, key: Key, box: Box) -> None:
    import numpy as np

    across, along = box.middle
    if key.kind == "patch":
        canvas.fill(box, key.color, key.alpha)
    elif key.kind == "frame":
        canvas.frame(box, key.color, 1, key.dash)
    elif key.kind == "cross":
        canvas.cross(across, along, key.color, box)
    elif key.kind == "mark":
        canvas.upright(across, box.top, box.bottom, key.color)
    else:
        canvas.curve(np.array([[box.left, along], [box.right, along]]), key.color, box, key.width, key.dash, key.alpha)
        if key.kind == "dotted line":
            canvas.dots(np.array([[across, along]]), key.color, box)
