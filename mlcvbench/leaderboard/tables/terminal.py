"""The board in a terminal of 80 columns, plain text."""

from __future__ import annotations

import textwrap

from mlcvbench.leaderboard.standing.boards import Board
from mlcvbench.leaderboard.standing.labels import short_config
from mlcvbench.leaderboard.standing.rows import BoardRow, Cell
from mlcvbench.leaderboard.tables.notes import Notes, notes_of
from mlcvbench.leaderboard.tables.wording import (
    COST_TITLES,
    DASH,
    answer,
    cost,
    metric_title,
    rank_text,
    score,
    spread,
    unranked_score,
)
from mlcvbench.records.stages import HEADLINE

COSTS = ("p50", "macs", "params", "peak_bytes", "fit_s")
FIXED_COLUMNS = 3
SHORTEST_NAME, LONGEST_MODEL = 12, 20
UNRANKED_SHOWN = 10
NOTES_SHOWN = 12
FLAG = "!"


def render_terminal(board: Board, width: int = 80) -> str:
    """Return the board as plain text no wider than `width` columns: ranked rows, then what is not ranked and why.

    A row of dots separates the tie bands; `!1` after a name refers to a note below the table.
    """
    unit = board.metrics[board.primary].unit if board.primary else ""
    costs = [name for name in COSTS if any(row.costs[name].value is not None for row in board.rows)]
    beside = [metric_title(name, board.metrics[name].unit) for name in board.beside]
    header = ["rank", "model", metric_title(board.primary, unit), *beside, *(COST_TITLES[name] for name in costs)]
    cells = [_cells(board, row, unit, costs) for row in board.rows]
    notes = notes_of(board.rows)
    lines = [*_wrapped(f"{plain(board.title)} · {_data(board)} · {board.protocol_id}", width)]
    if cells:
        lines += ["", *_table(board, header, cells, notes, width)]
    lines += ["", *_wrapped(answer(board), width)]
    if cells:
        lines += _wrapped(_legend(board, missing=any(DASH in line for line in cells)), width)
    lines += _notes(notes, width)
    lines += _unranked(board, width)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _table(board: Board, header: list[str], cells: list[list[str]], notes: Notes, width: int) -> list[str]:
    """Return the rows under their header.

    Where names need more room, settings drop `fit.`, and costs that all rows share lose their column.
    """
    names = [(f"{plain(row.model)} {notes.mark(row, FLAG)}".strip(), plain(row.config)) for row in board.rows]
    widths = _widths(header, cells, names, width)
    if widths[1] < _longest(names):
        names = [(model, short_config(config)) for model, config in names]
        widths = _widths(header, cells, names, width)
    same = [column for column in range(FIXED_COLUMNS, len(header)) if len({line[column] for line in cells}) == 1]
    said: list[str] = []
    if len(cells) > 1 and same and widths[1] < _longest(names):
        shared = ", ".join(f"{header[column]} {cells[0][column]}" for column in same)
        said = [*_wrapped(f"All rows: {shared}.", width), ""]
        kept = [column for column in range(len(header)) if column not in same]
        header, cells = [header[column] for column in kept], [[line[column] for column in kept] for line in cells]
        widths = _widths(header, cells, names, width)
    header, cells = header[: len(widths)], [line[: len(widths)] for line in cells]
    lines = [*said, _line(header, widths), _line(["-" * w for w in widths], widths)]
    for index, line in enumerate(cells):
        if index and board.rows[index].band != board.rows[index - 1].band:
            lines.append("·" * (sum(widths) + len(widths) - 1))
        first, *rest = _name_lines(*names[index], widths[1], width - widths[0] - 1)
        lines.append(_line([line[0], first, *line[2:]], widths))
        lines += [" " * (widths[0] + 1) + more for more in rest]
    return lines


def plain(text: str) -> str:
    r"""Return text without control characters, so that untrusted text cannot control the terminal.

    >>> plain("a\x1b[2Jb")
    'a?[2Jb'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c in "\n\t" else "?" for c in text)


def _data(board: Board) -> str:
    if board.dataset is None:
        return "data not read"
    return f"{board.dataset.name}, {board.dataset.n:,} sample{'s' * (board.dataset.n != 1)}"


def _cells(board: Board, row: BoardRow, unit: str, costs: list[str]) -> list[str]:
    cell, time = row.metrics[board.primary], row.costs["p50"]
    value = f"{score(cell.value, unit)} {_narrow(spread(cell, unit))}".strip() if cell.value is not None else DASH
    known = [row.costs[name].value for name in costs]
    shown = [DASH if value is None else cost(name, value) for name, value in zip(costs, known, strict=True)]
    shown[:1] = [f"{shown[0]} {_narrow(spread(time, 's'))}".strip()] if costs[:1] == ["p50"] else shown[:1]
    others = [_value(row.metrics.get(name, Cell(None)).value, board.metrics[name].unit) for name in board.beside]
    return [rank_text(row), plain(row.model), value, *others, *shown]


def _value(value: float | None, unit: str) -> str:
    return DASH if value is None else score(value, unit)


def _narrow(interval: str) -> str:
    return interval.replace(", ", ",")


def _longest(names: list[tuple[str, str]]) -> int:
    return max(len(f"{model} {config}".strip()) for model, config in names)


def _widths(header: list[str], cells: list[list[str]], names: list[tuple[str, str]], width: int) -> list[int]:
    """Return the widths of as many columns as fit.

    Settings give way first, since they can move to their own lines, then costs from the right, then the names of
    models, and last the time.
    """
    widths = [max(len(line[column]) for line in [header, *cells]) for column in range(len(header))]
    longest = max(len(header[1]), _longest(names))
    model = max(len(model) for model, _ in names)
    shortest = min(SHORTEST_NAME, longest)
    least = max(shortest, min(model, LONGEST_MODEL))

    def too_wide(name: int) -> bool:
        return sum(widths) - widths[1] + name + len(widths) - 1 > width

    while len(widths) > FIXED_COLUMNS + 1 and too_wide(least):
        widths.pop()
    while len(widths) > FIXED_COLUMNS and too_wide(shortest):
        widths.pop()
    widths[1] = max(shortest, min(longest, width - (sum(widths) - widths[1] + len(widths) - 1)))
    return widths


def _name_lines(model: str, config: str, width: int, room: int) -> list[str]:
    """Return model and configuration as a line of at most `width` columns and, if needed, further ones of at most
    `room`.

    Every setting keeps its value, whatever else is cut.

    >>> _name_lines("nearest_prototype", "prototypes=16, shrink=0.5", 20, 60)
    ['nearest_prototype', '  prototypes=16, shrink=0.5']
    """
    if len(model) + 1 + len(config) <= width:
        return [f"{model} {config}".strip()]
    lines = [_shortened(model, width)]
    for setting in filter(None, config.split(", ")):
        part = _shortened(setting, room - 2)
        if len(lines) > 1 and len(lines[-1]) + 2 + len(part) <= room:
            lines[-1] += f", {part}"
        else:
            lines.append(f"  {part}")
    return lines


def _shortened(text: str, width: int) -> str:
    """Return text no longer than `width`, with the middle cut out; the end is more informative than the beginning.

    >>> _shortened("prototypes=16", 10)
    'prot…es=16'
    """
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def _line(cells: list[str], widths: list[int]) -> str:
    shown = []
    for index, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        text = cell if len(cell) <= width else cell[: width - 1] + "…"
        shown.append(text.ljust(width) if index == 1 else text.rjust(width))
    return " ".join(shown)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width) or [""]


def _notes(notes: Notes, width: int) -> list[str]:
    """Return the notes below the table, those that hold for all rows first."""
    said = notes.lines(FLAG)
    hidden = len(said) - NOTES_SHOWN
    lines = [""] if said else []
    for text in said[:NOTES_SHOWN]:
        lines += textwrap.wrap(plain(text), width, subsequent_indent="   ", break_on_hyphens=False)
    return [*lines, f"and {hidden} more notes, on the page"] if hidden > 0 else lines


def _legend(board: Board, *, missing: bool) -> str:
    """Return how to read the table; `missing`: some number is missing."""
    ranks = "±, [ ]: 95 %; rank: all the ranks a row can have; dots separate tie bands"
    last = " -: not measured." if missing else ""
    if all(row.costs["p50"].value is None for row in board.rows):
        return f"{ranks}.{last}"
    kinds = {
        latency.interval
        for row in board.rows
        for entry in row.runs
        if (latency := entry.record.latency.get(HEADLINE)) is not None and latency.interval
    }
    timing = "between processes" if kinds == {"prediction-95"} else "within one process"
    machines = board.hardware
    place = machines[0][1] if len(machines) == 1 else f"{len(machines)} kinds of hardware"
    return f"{ranks}, the faster first inside one. p50: end to end, batch 1, {timing}, {place}.{last}"


def _unranked(board: Board, width: int) -> list[str]:
    if not board.unranked:
        return []
    percent = board.primary in board.metrics and board.metrics[board.primary].unit == "fraction"
    lines = ["", f"not ranked ({len(board.unranked)}):"]
    for row in board.unranked[:UNRANKED_SHOWN]:
        name = f"{row.entry.record.model.called} {row.config}".strip()
        shown = unranked_score(board, row)
        value = f", {board.primary} {shown}{' %' * percent}" if shown else ""
        said = f"  {plain(name)} seed {row.entry.record.seed}{value}: {plain(row.reason)}"
        lines += textwrap.wrap(said, width, subsequent_indent="    ", max_lines=3, placeholder=" …")
    hidden = len(board.unranked) - UNRANKED_SHOWN
    return [*lines, f"  and {hidden} more"] if hidden > 0 else lines
