"""Charts: a part of a canvas with two scales, their tick labels and names, and what is drawn between them.

The margins follow from the sizes of the texts, which are known before anything is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlcvbench.figures.canvas import INK, MUTED, Box, Canvas, Dash
from mlcvbench.figures.keys import Key, draw_row, row_width, rows_of
from mlcvbench.figures.lettering import SMALL, TEXT, TITLE, fitting, line_height, text_width, widest
from mlcvbench.figures.scales import Scale, Tick

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]

TICK, GAP = 4, 4
"""Pixels: length of a tick, and distance from there to its label."""
APART = 12
"""Least distance in pixels between labels side by side."""
NUMBER_HEIGHT = 40
"""Pixels of a vertical scale per label."""
GRID = "#e4e7eb"


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale, its name, and its ticks if they are not the scale's own; `turned`: labels are written upwards."""

    scale: Scale
    name: str = ""
    ticks: Sequence[Tick] | None = None
    grid: bool = False
    turned: bool = False
    bare: bool = False
    """Without tick marks; the labels are names then."""


@dataclass(slots=True)
class Chart:
    """A chart in a part of a canvas; its frame, ticks, names and title are drawn on construction.

    `title` and `subtitle` stand above on the left, `keys` above on the right, or below where the title leaves no room.
    `gutter`: least pixels for the labels of the vertical scale, so that stacked charts are aligned.
    """

    canvas: Canvas
    area: Box
    x: Axis
    y: Axis
    title: str = ""
    subtitle: str = ""
    keys: Sequence[Key] = ()
    gutter: int = 0
    inside: Box = field(init=False)
    _key_rows: list[list[Key]] = field(init=False)
    _key_top: int = field(init=False)

    def __post_init__(self) -> None:
        y_ticks = self._ticks(self.y, self.area.height // NUMBER_HEIGHT)
        self.inside = self._room(y_ticks)
        x_ticks = self._x_ticks()
        self._draw_head()
        self._draw_scales(x_ticks, y_ticks)

    def places(self, xs: Array, ys: Array) -> Array:
        """Return the pixel positions (N, 2) of values."""
        import numpy as np

        across = self.inside.left + self.x.scale.share(xs) * self.inside.width
        along = self.inside.bottom - self.y.scale.share(ys) * self.inside.height
        return np.stack([across, along], axis=1)

    def line(
        self, xs: Array, ys: Array, color: str, width: float = 2.0, dash: Dash = (), alpha: float = 1.0, dots: float = 0
    ) -> None:
        """Draw a line through points, broken where one is not finite, with discs of radius `dots` pixels on them."""
        import numpy as np

        points = self.places(xs, ys)
        known = np.isfinite(points).all(axis=1)
        for piece in np.split(points, np.flatnonzero(~known)):
            run = piece[np.isfinite(piece).all(axis=1)]
            if len(run):
                self.canvas.curve(run, color, self._seen(), width, dash, alpha)
        if dots:
            self.canvas.dots(points[known], color, self._seen(), dots)

    def band(self, xs: Array, lows: Array, highs: Array, color: str, alpha: float = 0.15) -> None:
        """Fill the area between two lines of finite points."""
        import numpy as np

        outline = np.concatenate([self.places(xs, lows), self.places(xs, highs)[::-1]])
        self.canvas.area(outline, color, self.inside, alpha)

    def dot(self, x: float, y: float, color: str, radius: float = 3.5) -> None:
        """Draw a disc at a point."""
        import numpy as np

        self.canvas.dots(np.array([self.place(x, y)]), color, self._seen(), radius)

    def steps(self, edges: Array, heights: Array, color: str, alpha: float = 1.0, apart: int = 0) -> None:
        """Draw columns from 0 between edges (N + 1,), `apart` pixels apart."""
        import numpy as np

        across = self.places(edges, np.zeros(len(edges)))[:, 0].round().astype(int).tolist()
        tops = self.places(np.full(len(heights), edges[0]), heights)[:, 1].round().astype(int).tolist()
        for left, right, top in zip(across[:-1], across[1:], tops, strict=True):
            self.canvas.fill(Box(left, max(top, self.inside.top), right - apart, self.inside.bottom), color, alpha)

    def bar(self, row: float, start: float, end: float, height: float, color: str, alpha: float = 1.0) -> None:
        """Draw a horizontal bar between two values of the horizontal scale, `height` in units of the vertical one."""
        import numpy as np

        corners = self.places(np.array([start, end]), np.array([row - height / 2, row + height / 2]))
        (left, right), (top, bottom) = (sorted(side) for side in corners.round().astype(int).T.tolist())
        self.canvas.fill(Box(left, top, right, bottom), color, alpha)

    def upright(self, x: float, color: str, thick: int = 1, dash: Dash = ()) -> None:
        """Draw a vertical line over the full height at a value of the horizontal scale."""
        self.canvas.upright(self._across(x), self.inside.top, self.inside.bottom, color, thick, dash)

    def level(self, y: float, color: str, thick: int = 1, dash: Dash = ()) -> None:
        """Draw a horizontal line over the full width at a value of the vertical scale."""
        self.canvas.level(self._along(y), self.inside.left, self.inside.right, color, thick, dash)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixel position of a point."""
        return self._across(x), self._along(y)

    def _across(self, x: float) -> float:
        import numpy as np

        return self.inside.left + float(self.x.scale.share(np.array([x]))[0]) * self.inside.width

    def _along(self, y: float) -> float:
        import numpy as np

        return self.inside.bottom - float(self.y.scale.share(np.array([y]))[0]) * self.inside.height

    def _seen(self) -> Box:
        """Return the clipping box of lines: slightly larger than the scales, so that none is cut at their ends."""
        return Box(self.inside.left - 3, self.inside.top - 3, self.inside.right + 4, self.inside.bottom + 4)

    def _ticks(self, axis: Axis, most: int) -> Sequence[Tick]:
        return axis.ticks if axis.ticks is not None else axis.scale.ticks(most)

    def _room(self, y_ticks: Sequence[Tick]) -> Box:
        """Return the box that the surrounding texts leave for the drawing."""
        numbers = max(self.gutter, widest([text for _, text in y_ticks], SMALL))
        left = self.area.left + (line_height(TEXT) + GAP if self.y.name else 0) + numbers + GAP + TICK
        x_ticks = self._ticks(self.x, 5)
        last = text_width(x_ticks[-1][1], SMALL) // 2 if x_ticks and not self.x.turned else 0
        right = self.area.right - max(4, last)
        self._key_rows = rows_of(self.keys, right - self.area.left)
        beside = not self.title or text_width(self.title, TEXT) + APART + row_width(self.keys) <= right - left
        words = (line_height(TITLE) if self.title else 0) + (line_height(SMALL) if self.subtitle else 0)
        self._key_top = self.area.top + (0 if beside else words)
        head = max(words, self._key_top - self.area.top + line_height(TITLE) * len(self._key_rows)) + GAP
        names = widest([text for _, text in self.x.ticks or ()], SMALL) if self.x.turned else line_height(SMALL)
        foot = names + GAP + (0 if self.x.bare else TICK) + (line_height(TEXT) + GAP if self.x.name else 0)
        return Box(left, self.area.top + max(head, line_height(SMALL) // 2), right, self.area.bottom - foot)

    def _x_ticks(self) -> Sequence[Tick]:
        """Return as many ticks of the horizontal scale as fit side by side."""
        if self.x.ticks is not None:
            return self.x.ticks
        for most in range(10, 1, -1):
            ticks = self.x.scale.ticks(most)
            if sum(text_width(text, SMALL) + APART for _, text in ticks) <= self.inside.width:
                return ticks
        return self.x.scale.ticks(2)

    def _draw_head(self) -> None:
        """Write the title and, to its right or below, the keys."""
        if self.title:
            y = self.area.top + line_height(TITLE) / 2
            self.canvas.text(self.inside.left, y, fitting(self.title, self.inside.width, TEXT), TEXT)
        if self.subtitle:
            y = self.area.top + line_height(TITLE) + line_height(SMALL) / 2
            self.canvas.text(self.inside.left, y, fitting(self.subtitle, self.inside.width, SMALL), SMALL, MUTED)
        for number, row in enumerate(self._key_rows):
            y = self._key_top + (number + 0.5) * line_height(TITLE)
            draw_row(self.canvas, row, max(self.area.left, self.inside.right - row_width(row)), y)

    def _draw_scales(self, x_ticks: Sequence[Tick], y_ticks: Sequence[Tick]) -> None:
        canvas, inside = self.canvas, self.inside
        for value, _ in x_ticks if self.x.grid else ():
            self.upright(value, GRID)
        for value, _ in y_ticks if self.y.grid else ():
            self.level(value, GRID)
        canvas.upright(inside.left - 0.5, inside.top, inside.bottom + 1, INK)
        canvas.level(inside.bottom + 0.5, inside.left - 1, inside.right, INK)
        self._draw_x_ticks(x_ticks)
        self._draw_y_ticks(y_ticks)
        if self.x.name:
            canvas.text(inside.middle[0], self.area.bottom - line_height(TEXT) / 2 - 1, self.x.name, TEXT, anchor="mm")
        if self.y.name:
            canvas.text_upwards(self.area.left + line_height(TEXT) / 2, inside.middle[1], self.y.name, TEXT)

    def _draw_x_ticks(self, ticks: Sequence[Tick]) -> None:
        bottom, length = self.inside.bottom, 0 if self.x.bare else TICK
        for value, text in ticks:
            x = self._across(value)
            self.canvas.upright(x, bottom, bottom + length, INK)
            if self.x.turned:
                self.canvas.text_upwards(x, bottom + length + GAP, text, SMALL, end=True)
            else:
                self.canvas.text(x, bottom + length + GAP, text, SMALL, anchor="ma")
        for value in self.x.scale.small_ticks() if self.x.ticks is None else ():
            self.canvas.upright(self._across(value), bottom, bottom + TICK // 2, MUTED)

    def _draw_y_ticks(self, ticks: Sequence[Tick]) -> None:
        left, length = self.inside.left, 0 if self.y.bare else TICK
        for value, text in ticks:
            y = self._along(value)
            self.canvas.level(y, left - length, left, INK)
            self.canvas.text(left - length - GAP, y, text, SMALL, anchor="rm")
        for value in self.y.scale.small_ticks() if self.y.ticks is None else ():
            self.canvas.level(self._along(value), left - TICK // 2, left, MUTED)
