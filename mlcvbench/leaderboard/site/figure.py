"""The scatter as an SVG picture, for readers without script and for Markdown. Same board, same bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from mlcvbench.figures import Scale, Tick
from mlcvbench.leaderboard.site.pages import chart_scale
from mlcvbench.leaderboard.site.point_names import LETTER, Box, Point, place_names, short_names
from mlcvbench.leaderboard.standing.boards import Board
from mlcvbench.leaderboard.standing.rows import BoardRow
from mlcvbench.leaderboard.tables.wording import metric_title

WIDTH, HEIGHT = 518.0, 245.0
"""Size of the picture in points of 1/72 inch, the unit of all that follows."""
FONT_SIZE, TICK, MARGIN, LINE = 9, 3, 8, 13
LABELS = 8
CROWD = 30
"""With more points, only those of the front have their intervals drawn."""
ERROR_TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999)
ACCENT, CLOUD, INK, GRID = "#2b59c3", "#8a94a0", "#16202e", "#e3e6ea"
MOST_TICKS = 6
HEAD = (
    f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH:g}pt" height="{HEIGHT:g}pt" viewBox="0 0 {WIDTH:g} '
    f'{HEIGHT:g}" font-family="DejaVu Sans, Verdana, sans-serif" font-size="{FONT_SIZE}" fill="{INK}">'
)


def scatter_svg(board: Board) -> str | None:
    """Return score against p50 of the board's most common hardware as SVG text, None when nothing was timed."""
    rows = board.timed
    if not rows:
        return None
    paper = _paper(board, rows)
    front = sorted((row for row in rows if row.front), key=lambda row: row.costs["p50"].value or 0.0)
    diamonds, dots = ([paper.place(row) for row in part] for part in (front, [row for row in rows if not row.front]))
    whole = f'<rect width="{WIDTH:g}" height="{HEIGHT:g}" fill="#ffffff"/>'
    drawn = [HEAD, whole, *_scales(paper), *_whiskers(paper, rows if len(rows) <= CROWD else front)]
    drawn += [f'<circle cx="{x:.2f}" cy="{y:.2f}" r="2.2" fill="{CLOUD}"/>' for x, y in dots]
    if diamonds:
        steps = [f"M{diamonds[0][0]:.2f} {diamonds[0][1]:.2f}", *(f"H{x:.2f}V{y:.2f}" for x, y in diamonds[1:])]
        style = f'fill="none" stroke="{ACCENT}" stroke-opacity="0.7" stroke-width="1.2"'
        drawn.append(f'<path d="{"".join(steps)}" {style}/>')
    drawn += [f'<path d="M{x:.2f} {y - 4:.2f}l4 4-4 4-4-4z" fill="{ACCENT}"/>' for x, y in diamonds]
    return "\n".join([*drawn, *_names(paper, front, diamonds, dots), "</svg>", ""])


@dataclass(frozen=True, slots=True)
class _Paper:
    """The drawing area: its ends, its scales and their titles."""

    metric: str
    height: Callable[[float], float]
    x: Scale
    y: Scale
    y_ticks: Sequence[Tick]
    titles: tuple[str, str]
    box: Box
    """Left, top, right and bottom edge, from the upper left corner."""

    def place(self, row: BoardRow) -> Point:
        """Return the position of a row."""
        return self.across(row.costs["p50"].value or 0.0), self.along(row.metrics[self.metric].value or 0.0)

    def across(self, seconds: float) -> float:
        return self.box[0] + _share(self.x, 1e3 * seconds) * (self.box[2] - self.box[0])

    def along(self, score: float) -> float:
        return self.level(self.height(score))

    def level(self, height: float) -> float:
        return self.box[3] - _share(self.y, height) * (self.box[3] - self.box[1])


def _share(scale: Scale, value: float) -> float:
    return float(scale.share(np.array([value]))[0])


def _paper(board: Board, rows: list[BoardRow]) -> _Paper:
    """Return scales that hold all points with their intervals, and margins for their numbers."""
    height, spec = _height(board, rows), board.metrics[board.primary]
    shown = [row.metrics[board.primary] for row in rows]
    scores = [end for one in shown for end in (one.value or 0.0, one.low, one.high) if end is not None]
    times = [end for row in rows for end in (row.costs["p50"].value, row.costs["p50"].low, row.costs["p50"].high)]
    y = Scale.around(np.array([height(score) for score in scores]))
    title = metric_title(board.primary, spec.unit)
    if chart_scale(board, rows) == "error":
        title += ", on the log of the error"
        marks = [(height(share), f"{100 * share:g}") for share in reversed(ERROR_TICKS)]
        ticks = [(value, text) for value, text in marks if y.low <= value <= y.high]
    else:
        ticks = y.ticks(MOST_TICKS)
    left = MARGIN + LINE + TICK + LETTER * max((len(text) for _, text in ticks), default=0) + 2 * TICK
    return _Paper(
        board.primary,
        height,
        Scale.around(1e3 * np.array([end for end in times if end is not None]), log=True),
        y if spec.higher_is_better else Scale(y.high, y.low),
        ticks,
        ("time of one image, end to end, ms", title),
        (left, MARGIN, WIDTH - 2 * MARGIN, HEIGHT - MARGIN - 2 * LINE - 2 * TICK),
    )


def _height(board: Board, rows: list[BoardRow]) -> Callable[[float], float]:
    """Return the transform of a score for drawing: none, percent, or the log of the error (see `chart_scale`)."""
    spec = board.metrics[board.primary]
    if chart_scale(board, rows) == "error":
        least = 0.5 / max(1, board.dataset.n if board.dataset else 1)
        return lambda value: -math.log10(max(least, 1 - value))
    factor = 100.0 if spec.unit == "fraction" else 1.0
    return lambda value: factor * value


def _scales(paper: _Paper) -> list[str]:
    """Return the grid, the axes, their numbers and their titles."""
    left, top, right, bottom = paper.box
    lines, texts = [], []
    for value, text in paper.x.ticks(MOST_TICKS):
        x = paper.across(value / 1e3)
        lines.append(f"M{x:.2f} {top:.2f}V{bottom:.2f}")
        texts.append(_text(x, bottom + LINE, text, "middle"))
    for value, text in paper.y_ticks:
        y = paper.level(value)
        lines.append(f"M{left:.2f} {y:.2f}H{right:.2f}")
        texts.append(_text(left - 2 * TICK, y + 0.35 * FONT_SIZE, text, "end"))
    across, along = (left + right) / 2, (top + bottom) / 2
    return [
        f'<path d="{"".join(lines)}" stroke="{GRID}" stroke-width="0.6"/>',
        f'<path d="M{left:.2f} {top:.2f}V{bottom:.2f}H{right:.2f}" fill="none" stroke="{INK}" stroke-width="0.8"/>',
        *texts,
        _text(across, HEIGHT - MARGIN, paper.titles[0], "middle"),
        f'<g transform="translate({MARGIN + FONT_SIZE} {along:.2f}) rotate(-90)">'
        f"{_text(0, 0, paper.titles[1], 'middle')}</g>",
    ]


def _whiskers(paper: _Paper, rows: list[BoardRow]) -> list[str]:
    """Return the intervals of score and time."""
    lines = []
    for row in rows:
        score: Any = row.metrics[paper.metric]
        time: Any = row.costs["p50"]
        x, y = paper.place(row)
        if score.low is not None and score.high is not None:
            lines.append(f"M{x:.2f} {paper.along(score.low):.2f}V{paper.along(score.high):.2f}")
        if time.low is not None and time.high is not None:
            lines.append(f"M{paper.across(time.low):.2f} {y:.2f}H{paper.across(time.high):.2f}")
    return [f'<path d="{"".join(lines)}" stroke="{CLOUD}" stroke-opacity="0.55"/>'] if lines else []


def _names(paper: _Paper, front: list[BoardRow], diamonds: list[Point], dots: list[Point]) -> list[str]:
    """Label points of the front where there is room."""
    left, top, right, bottom = paper.box
    points, others = ([(x, HEIGHT - y) for x, y in part] for part in (diamonds, dots))  # y upwards, as there
    found = place_names(short_names(front), points, others, (left, HEIGHT - bottom, right, HEIGHT - top), LABELS)
    ends = {"left": "start", "right": "end"}
    return [
        _text(diamonds[one.index][0] + one.shift[0], diamonds[one.index][1] - one.shift[1], one.text, ends[one.side])
        for one in found
    ]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.2f}" y="{y:.2f}" text-anchor="{anchor}">{escape(text, quote=False)}</text>'
