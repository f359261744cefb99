"""Colour bars: what the colours of an image stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlcvbench.figures.canvas import INK, Box
from mlcvbench.figures.chart import GAP, TICK
from mlcvbench.figures.lettering import SMALL, line_height, widest
from mlcvbench.figures.palettes import LEVELS, palette

if TYPE_CHECKING:
    from mlcvbench.figures.canvas import Canvas
    from mlcvbench.figures.scales import Scale, Tick

STRIP = 12
BETWEEN_NUMBERS, MOST_NUMBERS = 32, 6


class Colors(NamedTuple):
    """A palette over a scale; `open_ended`: values beyond its end get the last colour."""

    palette: str
    scale: Scale
    open_ended: bool = False


def color_bar_width(colors: Colors, height: int) -> int:
    """Return the width in pixels of a colour bar of this height with its labels."""
    return STRIP + TICK + GAP + widest([text for _, text in _ticks(colors, height)], SMALL)


def draw_color_bar(canvas: Canvas, colors: Colors, left: int, top: int, height: int) -> None:
    """Draw a colour bar, the lowest value at the bottom, with its labels."""
    import numpy as np

    box = Box(left, top, left + STRIP, top + height)
    levels = np.linspace(LEVELS - 1, 0, height).round().astype(int)
    canvas.picture(np.repeat(palette(colors.palette)[levels][:, None], STRIP, axis=1), left, top)
    canvas.frame(box, INK)
    half = line_height(SMALL) // 2
    for value, text in _ticks(colors, height):
        y = box.bottom - 0.5 - float(colors.scale.share(np.array([value]))[0]) * (height - 1)
        canvas.level(y, box.right, box.right + TICK, INK)
        canvas.text(box.right + TICK + GAP, min(max(y, half), canvas.box.bottom - half), text)


def _ticks(colors: Colors, height: int) -> list[Tick]:
    ticks = colors.scale.ticks(max(2, min(MOST_NUMBERS, height // BETWEEN_NUMBERS)))
    value, text = ticks[-1]
    if colors.open_ended and value >= colors.scale.high * (1 - 1e-9):
        ticks[-1] = value, f"≥ {text}"
    return ticks
