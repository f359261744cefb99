"""Matrices of counts: what is (rows) by what was said (columns)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlcvbench.figures.canvas import INK, Box, Canvas
from mlcvbench.figures.color_bar import Colors, draw_color_bar
from mlcvbench.figures.lettering import SMALL, TEXT, TINY, line_height, short_name, text_width, widest
from mlcvbench.figures.palettes import shaded
from mlcvbench.figures.panels import enlarged
from mlcvbench.figures.scales import Scale

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.integer]

NUMBERED = 20
"""Lines up to which counts are written into their cells."""
CELL, LEAST_SIDE, MOST_SIDE, LEAST_CELL = 46, 220, 480, 14
"""Pixels of a matrix cell: the target size of the matrix, and the bounds of a cell."""
MARGIN = 10


def draw_matrix(matrix: Array, lines: Sequence[str], *, beside: str, below: str, shade: str) -> Canvas:
    """Draw counts (C, C), shaded by their share of their row; `shade` says of what."""
    import numpy as np

    count = len(lines)
    cell = max(LEAST_CELL, min(MOST_SIDE, max(LEAST_SIDE, CELL * count)) // count)
    size = SMALL if cell > SMALL else TINY
    names = [short_name(name) for name in lines]
    upright = widest(names, size) > cell - 4
    room, under = widest(names, size) + 8, widest(names, size) + 8 if upright else line_height(size) + 4
    left, top = MARGIN + line_height(TEXT) + room, MARGIN
    inside = Box(left, top, left + cell * count, top + cell * count)
    canvas = Canvas(inside.right + 120, inside.bottom + under + line_height(TEXT) + MARGIN)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    canvas.picture(enlarged(shaded(share, 0, 1, "Blues"), cell), left, top)
    canvas.frame(Box(left - 1, top - 1, inside.right + 1, inside.bottom + 1), INK)
    if count <= NUMBERED and text_width(f"{matrix.max()}", TINY) <= cell - 2:
        for row, column in np.argwhere(matrix > 0).tolist():
            color = "white" if share[row, column] > 0.5 else INK
            x, y = left + (column + 0.5) * cell, top + (row + 0.5) * cell
            canvas.text(x, y, f"{matrix[row, column]}", TINY, color, "mm")
    for place, name in enumerate(names):
        middle = (place + 0.5) * cell
        canvas.text(left - 5, top + middle, name, size, anchor="rm")
        if upright:
            canvas.text_upwards(left + middle, inside.bottom + 5, name, size, end=True)
        else:
            canvas.text(left + middle, inside.bottom + 4, name, size, anchor="ma")
    canvas.text(inside.middle[0], canvas.box.bottom - MARGIN, below, TEXT, anchor="mb")
    canvas.text_upwards(MARGIN + line_height(TEXT) / 2 - 2, inside.middle[1], beside, TEXT)
    strip = inside.right + 24
    draw_color_bar(canvas, Colors("Blues", Scale(0, 1)), strip, top, inside.height)
    canvas.text_upwards(strip + 60, inside.middle[1], shade, TEXT)
    return canvas
