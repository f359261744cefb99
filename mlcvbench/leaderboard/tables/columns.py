"""The columns of a board: one list that the page, CSV, JSON, Markdown and LaTeX share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from mlcvbench.leaderboard.standing.boards import Board
from mlcvbench.leaderboard.standing.rows import BoardRow, Cell
from mlcvbench.leaderboard.tables.wording import COST_TITLES, cost, metric_title, score, spread

Level = Literal["main", "cost", "all"]
LEVELS: tuple[Level, ...] = ("main", "cost", "all")


@dataclass(frozen=True, slots=True)
class BoardColumn:
    """A numeric column: display `title`, `unit` of the stored value (SI), `better` the better direction.

    `level`: shown always, from `+ cost` on, or with `all`. `show` formats a value, `spread` its interval, empty where
    it is not printed.
    """

    key: str
    title: str
    unit: str
    level: Level
    better: Literal["high", "low", ""]
    cell: Callable[[BoardRow], Cell]
    show: Callable[[float], str]
    spread: Callable[[Cell], str]
    about: str


_COSTS: dict[str, tuple[str, Level, Literal["high", "low", ""], str]] = {
    "p50": ("s", "main", "low", "Median time of one image, end to end at batch 1"),
    "p99": ("s", "cost", "low", "99th percentile of the time of one image; only where enough calls were timed"),
    "macs": ("1", "cost", "low", "Multiply-accumulates of one image"),
    "params": ("1", "cost", "low", "Parameters, trainable and frozen"),
    "peak_bytes": ("B", "cost", "low", "Peak memory of predicting over the baseline"),
    "fit_s": ("s", "cost", "low", "Time to fit"),
    "train_samples": ("1", "cost", "", "Samples that it learned from, those that it validated on included"),
    "images_per_s": ("1/s", "all", "high", "Throughput at the best batch size"),
    "latency_rank": ("1", "all", "low", "Ranks the latency can have among rows of this hardware; time=publish only"),
    "flops": ("1", "all", "low", "Operations of one image; one multiply-accumulate is two"),
    "size_bytes": ("B", "all", "low", "Size of the fitted state"),
    "energy": ("J", "all", "low", "Energy of one image"),
    "year": ("", "all", "", "Year the method was published"),
}


def columns_of(board: Board) -> list[BoardColumn]:
    """Return the numeric columns of a board: the primary metric and those beside it, costs, then the other metrics."""
    first = [*([board.primary] if board.primary else []), *board.beside]
    metrics = [_metric_column(board, name) for name in (*first, *(name for name in board.metrics if name not in first))]
    costs = [_cost_column(name) for name in _COSTS]
    main = [column for column in costs if column.level == "main"]
    shown = [_where_rows_differ(column, board) for column in costs if column.level == "cost"]
    rest = [column for column in costs if column.level == "all"]
    return [*metrics[: len(first)], *main, *shown, *metrics[len(first) :], *rest]


def used(columns: Iterable[BoardColumn], board: Board) -> list[BoardColumn]:
    """Return the columns with content: the score, and those in which some row has a value."""
    return [
        column
        for column in columns
        if column.key == board.primary or any(column.cell(row).value is not None for row in board.rows)
    ]


def _where_rows_differ(column: BoardColumn, board: Board) -> BoardColumn:
    """Return a column, shown with `all` only where it is the size of one training set that all rows share."""
    shared = column.key == "train_samples" and len({column.cell(row).value for row in board.rows}) == 1
    return replace(column, level="all") if shared else column


def _metric_column(board: Board, name: str) -> BoardColumn:
    spec = board.metrics[name]
    return BoardColumn(
        key=name,
        title=metric_title(name, spec.unit),
        unit="" if spec.unit == "fraction" else spec.unit,
        level="main" if name in (board.primary, *board.beside) else "all",
        better="high" if spec.higher_is_better else "low",
        cell=lambda row: row.metrics.get(name, Cell(None, reason="not scored")),
        show=lambda value: score(value, spec.unit),
        spread=lambda cell: spread(cell, spec.unit),
        about=f"{name} ({spec.provenance}); {'higher' if spec.higher_is_better else 'lower'} is better",
    )


def _cost_column(name: str) -> BoardColumn:
    unit, level, better, about = _COSTS[name]
    return BoardColumn(
        key=name,
        title=COST_TITLES[name],
        unit=unit,
        level=level,
        better=better,
        cell=lambda row: row.costs[name],
        show=lambda value: cost(name, value),
        spread=lambda cell: spread(cell, unit) if name == "p50" else "",
        about=about,
    )
