"""Pictures made of images: rows of captioned tiles, with a key of their colours below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from mlcvbench.figures.canvas import INK, Box, Canvas
from mlcvbench.figures.color_bar import color_bar_width, draw_color_bar
from mlcvbench.figures.keys import draw_below, row_width, rows_height, rows_of
from mlcvbench.figures.lettering import SMALL, TEXT, fitting, line_height

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mlcvbench.figures.color_bar import Colors
    from mlcvbench.figures.keys import Key

    Array = NDArray[np.generic]

MARGIN, BETWEEN, BELOW_WORDS = 10, 14, 4
"""Pixels around a picture, between two images, and between an image and its caption."""


class Tile(NamedTuple):
    """An image, uint8 (H, W) or (H, W, 3), or none; the caption lines above it; the colour bar beside it."""

    image: Array | None
    words: Sequence[str] = ()
    color: str = INK
    colors: Colors | None = None


def draw_tiles(
    rows: Sequence[Sequence[Tile]], *, title: str = "", keys: Sequence[Key] = (), side: int = 0, size: int = SMALL
) -> Canvas:
    """Draw rows of tiles in columns at least `side` pixels wide, in a picture as large as they need.

    `size`: the font size in pixels. Captions wider than their column are cut.
    """
    widths = [max(side, *(_width(row[place]) for row in rows if place < len(row))) for place in range(_most(rows))]
    heads = [line_height(size) * max(len(tile.words) for tile in row) + BELOW_WORDS for row in rows]
    heights = [max(0 if tile.image is None else len(tile.image) for tile in row) for row in rows]
    across = sum(widths) + BETWEEN * (len(widths) - 1)
    legend = rows_of(keys, max(across, max((row_width([key]) for key in keys), default=0)))
    across = max(across, *(row_width(row) for row in legend)) if legend else across
    top = MARGIN + (line_height(TEXT) + BETWEEN // 2 if title else 0)
    below = top + sum(heads) + sum(heights) + BETWEEN * len(rows)
    canvas = Canvas(2 * MARGIN + across, below + rows_height(legend) + (MARGIN if legend else MARGIN - BETWEEN))
    if title:
        canvas.text(canvas.box.middle[0], MARGIN, fitting(title, across, TEXT), TEXT, anchor="ma")
    for row, head, height in zip(rows, heads, heights, strict=True):
        left = MARGIN
        for tile, width in zip(row, widths, strict=False):
            _draw_tile(canvas, tile, Box(left, top, left + width, top + head), height, size)
            left += width + BETWEEN
        top += head + height + BETWEEN
    draw_below(canvas, legend, Box(MARGIN, below, MARGIN + across, canvas.box.bottom))
    return canvas


def _most(rows: Sequence[Sequence[Tile]]) -> int:
    return max(len(row) for row in rows)


def _width(tile: Tile) -> int:
    if tile.image is None:
        return 0
    high, wide = map(int, tile.image.shape[:2])
    return wide + (BELOW_WORDS + color_bar_width(tile.colors, high) if tile.colors else 0)


def _draw_tile(canvas: Canvas, tile: Tile, head: Box, height: int, size: int) -> None:
    """Draw the caption at the bottom of `head` and the image centred below it."""
    width, line = _width(tile), line_height(size)
    left = head.left + (head.width - width) // 2
    middle = left + tile.image.shape[1] / 2 if tile.image is not None else head.middle[0]
    room = head.width + BETWEEN - 4 - (width - tile.image.shape[1] if tile.image is not None else 0)
    for number, text in enumerate(tile.words):
        y = head.bottom - BELOW_WORDS - (len(tile.words) - number - 0.5) * line
        canvas.text(middle, y, fitting(text, room, size), size, tile.color, "mm")
    if tile.image is None:
        return
    top = head.bottom + (height - len(tile.image)) // 2
    canvas.picture(tile.image, left, top)
    if tile.colors:
        draw_color_bar(canvas, tile.colors, left + tile.image.shape[1] + BELOW_WORDS, top, len(tile.image))
