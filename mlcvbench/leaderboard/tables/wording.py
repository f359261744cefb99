"""Numbers and sentences for display: percent, milliseconds, SI prefixes, and the sentence that sums up a board."""

from __future__ import annotations

from math import ceil

from mlcvbench.leaderboard.standing.boards import Board
from mlcvbench.leaderboard.standing.ranking import SAME_SPEED
from mlcvbench.leaderboard.standing.rows import BoardRow, Cell, Unranked
from mlcvbench.records.doubts import is_wide
from mlcvbench.records.units import count, interval_text, significant

DASH = "-"
SCORE_DIGITS = 4
SAME_ARMS = 0.05
"""A time's interval counts as symmetric when the distances of its ends differ by at most this share of the time."""
UNIT_TITLES = {"fraction": "%", "nat": "nat", "px": "px", "m": "m", "1": ""}


def score(value: float, unit: str) -> str:
    """Return a metric value for display: fractions in percent with two decimals, anything else with four digits.

    >>> score(0.98534, "fraction"), score(0.0512345, "nat")
    ('98.53', '0.05123')
    """
    return f"{100 * value:.2f}" if unit == "fraction" else significant(value, SCORE_DIGITS)


def spread(cell: Cell, unit: str) -> str:
    """Return the 95 % interval as it is printed after its value: `±0.87`, or both ends where it is asymmetric.

    `±` is half the interval, used only where it gives both ends to the last printed digit of the value. For a time
    (unit `s`, printed in ms) it is the farther end in whole percent, used for nearly symmetric intervals that are not
    too wide (`doubts.is_wide`). Empty where there is no interval.

    >>> spread(Cell(0.5, 0.48, 0.52), "fraction"), spread(Cell(1.0, 0.7151, 1.0), "fraction")
    ('±2.00', '[71.51, 100.00]')
    >>> spread(Cell(0.005, 0.00496, 0.0051), "s"), spread(Cell(0.00579, 0.000474, 0.216), "s")
    ('±2%', '[0.474, 216]')
    """
    value, low, high = cell.value, cell.low, cell.high
    if value is None or low is None or high is None:
        return ""
    below, above = value - low, high - value
    if unit == "s":
        if not is_wide(low, high, value) and abs(above - below) <= SAME_ARMS * value:
            return f"±{max(1, ceil(round(100 * max(below, above) / value, 6)))}%" if value else ""
        return f"[{cost('p50', low)}, {cost('p50', high)}]"
    if unit == "fraction":
        return interval_text(100 * value, 100 * low, 100 * high, 2)
    decimals = len(score(value or high or low, unit).partition(".")[2])
    return interval_text(value, low, high, decimals)


def metric_title(name: str, unit: str) -> str:
    """Return a column title.

    >>> metric_title("top1", "fraction"), metric_title("epe", "px")
    ('top1 %', 'epe px')
    """
    return f"{name} {UNIT_TITLES.get(unit, unit)}".strip()


def cost(name: str, value: float) -> str:
    """Return a cost for display; see `COST_TITLES` for its unit."""
    if name in ("p50", "p99"):
        return significant(value * 1e3)
    if name in ("macs", "flops", "params"):
        return count(value)
    if name in ("peak_bytes", "size_bytes"):
        return significant(value / 1e6)
    if name == "fit_s":
        return significant(value) if value >= 1e-3 else "<0.001"
    if name == "train_samples":
        return f"{value:,.0f}"
    return f"{value:.0f}" if name in ("year", "latency_rank") else significant(value)


COST_TITLES = {
    "p50": "p50 ms",
    "p99": "p99 ms",
    "images_per_s": "images/s",
    "latency_rank": "latency rank",
    "macs": "MACs",
    "flops": "FLOPs",
    "params": "params",
    "size_bytes": "size MB",
    "peak_bytes": "peak MB",
    "energy": "J/image",
    "fit_s": "fit s",
    "train_samples": "trained on",
    "year": "year",
}


def rank_text(row: BoardRow) -> str:
    """Return a rank interval: `1`, `2-4`, or a dash for a row without one."""
    if row.rank_low is None:
        return DASH
    return str(row.rank_low) if row.rank_low == row.rank_high else f"{row.rank_low}-{row.rank_high}"


def unranked_score(board: Board, item: Unranked) -> str:
    """Return the score of an unranked run in the format of the board's column; empty where it has none."""
    metric = item.entry.record.metrics.get(board.primary)
    if metric is None or metric.value is None or board.primary not in board.metrics:
        return ""
    return score(metric.value, board.metrics[board.primary].unit)


def answer(board: Board) -> str:
    """Return the sentence that sums up a board: who is first, how many share it, and which of them is fastest."""
    rows = board.rows
    if not rows:
        return "No run can be ranked yet."
    unit = board.metrics[board.primary].unit
    leaders = [row for row in rows if row.band == 0]
    if not leaders:
        return f"{rows[0].name} has the best {board.primary}; without intervals the margin is unknown."
    what = "model" if len({row.model for row in rows}) == len(rows) else "row"
    total = f"{len(rows)} {what}{'s' if len(rows) > 1 else ''}"
    if len(leaders) == 1:
        best = leaders[0]
        return f"{best.name} is first of {total}: {_figures(board, best, unit)}."
    text = f"{len(leaders)} of {total} share first place (their rank intervals reach 1)."
    here = [row for row in board.timed if row.band == 0]
    if not here:
        return text
    most = SAME_SPEED * min(row.costs["p50"].value or 0.0 for row in here)
    fast = [row for row in here if (row.costs["p50"].value or 0.0) <= most]
    best = fast[0]
    where = f" on {best.hardware}" if len({row.env_class for row in leaders} - {""}) > 1 else ""
    if len(fast) == 1:
        said = f"The fastest of them{where} is {best.name}"
    elif len(fast) == len(leaders):
        said = f"They are about as fast as each other; {best.name} scores best"
    else:
        said = f"Of the {len(fast)} fastest of them{where}, all about as fast, {best.name} scores best"
    return f"{text} {said}: {_figures(board, best, unit)}."


def _figures(board: Board, row: BoardRow, unit: str) -> str:
    cell, fast = row.metrics[board.primary], row.costs["p50"].value
    value = f"{score(cell.value or 0.0, unit)} {spread(cell, unit)}".strip()
    said = f"{board.primary} {value}{' %' if unit == 'fraction' else ''}"
    return f"{said}, {cost('p50', fast)} ms per image" if fast is not None else said
