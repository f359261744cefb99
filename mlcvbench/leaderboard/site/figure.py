"""The scatter as an SVG picture, for readers without script and for Markdown. Same board, same bytes."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mlcvbench.leaderboard.site.pages import chart_scale
from mlcvbench.leaderboard.site.point_names import place_names, short_names
from mlcvbench.leaderboard.standing.boards import Board
from mlcvbench.leaderboard.standing.rows import BoardRow
from mlcvbench.leaderboard.tables.wording import metric_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Places = tuple[list[float], list[float]]
LABELS = 8
CROWD = 30
"""Of more points only those of the front have their intervals drawn."""
ERROR_TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999)
ACCENT, CLOUD = "#2b59c3", "#8a94a0"
STYLE: Any = {
    "svg.hashsalt": "mlcvbench",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def scatter_svg(board: Board) -> str | None:
    """Return score against p50 of the board's most common hardware as SVG text, None when nothing was timed."""
    rows = board.timed
    if not rows:
        return None
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.4), layout="constrained")
        FigureCanvasSVG(figure)
        _draw(figure.subplots(), board, rows)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def _draw(axes: Axes, board: Board, rows: list[BoardRow]) -> None:
    front = sorted((row for row in rows if row.front), key=lambda row: row.costs["p50"].value or 0.0)
    rest = [row for row in rows if not row.front]
    height = _height(board, rows)
    for row in rows if len(rows) <= CROWD else front:
        _whiskers(axes, row, board.primary, height)
    axes.scatter(*_places(rest, board.primary, height), zorder=3, marker="o", s=16, c=CLOUD)
    axes.scatter(*_places(front, board.primary, height), zorder=3, marker="D", s=26, c=ACCENT)
    axes.plot(*_places(front, board.primary, height), drawstyle="steps-post", color=ACCENT, alpha=0.7, linewidth=1.2)
    _scales(axes, board, rows, height)
    _names(axes, front, _places(front, board.primary, height), _places(rest, board.primary, height))


def _names(axes: Axes, front: list[BoardRow], diamonds: Places, dots: Places) -> None:
    """Name points of the front where there is room."""
    figure: Any = axes.figure
    figure.draw_without_rendering()  # or the axes are not where they will be
    scale = 72 / figure.dpi
    box = tuple(scale * side for side in axes.get_window_extent().extents)
    points, others = ([_on_paper(axes, x, y, scale) for x, y in zip(*part, strict=True)] for part in (diamonds, dots))
    for name in place_names(short_names(front), points, others, (box[0], box[1], box[2], box[3]), LABELS):
        axes.annotate(
            name.text.replace("$", r"\$"),
            (diamonds[0][name.index], diamonds[1][name.index]),
            xytext=name.shift,
            textcoords="offset points",
            ha=name.side,
            color="#16202e",
        )


def _on_paper(axes: Axes, x: float, y: float, scale: float) -> tuple[float, float]:
    """Return where a value is drawn, in points of 1/72 inch."""
    across, up = axes.transData.transform((x, y))
    return scale * float(across), scale * float(up)


def _height(board: Board, rows: list[BoardRow]) -> Callable[[float], float]:
    """Return where a score is drawn: as it is, in percent, or on the log of the error (see `chart_scale`)."""
    spec = board.metrics[board.primary]
    if chart_scale(board, rows) == "error":
        least = 0.5 / max(1, board.dataset.n if board.dataset else 1)
        return lambda value: -math.log10(max(least, 1 - value))
    factor = 100.0 if spec.unit == "fraction" else 1.0
    return lambda value: factor * value


def _scales(axes: Axes, board: Board, rows: list[BoardRow], height: Callable[[float], float]) -> None:
    spec = board.metrics[board.primary]
    title = metric_title(board.primary, spec.unit)
    if chart_scale(board, rows) == "error":
        low, high = axes.get_ylim()
        ticks = {height(share): f"{100 * share:g}" for share in reversed(ERROR_TICKS) if low <= height(share) <= high}
        axes.set_yticks(list(ticks), list(ticks.values()))
        title += ", on the log of the error"
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    left, right = axes.get_xlim()
    if right < 10 * left:
        axes.xaxis.set_minor_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("time of one image, end to end, ms")
    axes.set_ylabel(title)
    axes.grid(visible=True, color="#e3e6ea", linewidth=0.6)
    if not spec.higher_is_better:
        axes.invert_yaxis()


def _places(rows: list[BoardRow], metric: str, height: Callable[[float], float]) -> Places:
    xs = [1e3 * (row.costs["p50"].value or 0.0) for row in rows]
    return xs, [height(row.metrics[metric].value or 0.0) for row in rows]


def _whiskers(axes: Axes, row: BoardRow, metric: str, height: Callable[[float], float]) -> None:
    score: Any = row.metrics[metric]
    time: Any = row.costs["p50"]
    style: dict[str, Any] = {"color": CLOUD, "alpha": 0.55, "linewidth": 1}
    if score.low is not None and score.high is not None:
        axes.plot([1e3 * time.value] * 2, [height(score.low), height(score.high)], **style)
    if time.low is not None and time.high is not None:
        axes.plot([1e3 * time.low, 1e3 * time.high], [height(score.value)] * 2, **style)
