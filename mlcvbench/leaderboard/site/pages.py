"""The contexts of the templates: plain values, already formatted and rounded, in the order of the page."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlcvbench.leaderboard.standing.boards import Board
from mlcvbench.leaderboard.standing.rows import TRUST_ORDER, BoardRow, Cell, StoredRun
from mlcvbench.leaderboard.tables.columns import BoardColumn, columns_of, used
from mlcvbench.leaderboard.tables.export import row_date, shortened
from mlcvbench.leaderboard.tables.notes import Notes, notes_of, said_of
from mlcvbench.leaderboard.tables.wording import DASH, answer, metric_title, rank_text, score, spread, unranked_score
from mlcvbench.records.stages import HEADLINE

LEADERS_SHOWN = 4
LONGEST_TITLE = 300
MOST_PICTURE_BYTES = 8 * 2**20
AXES = {
    "p50": ("time of one image, ms", 1e3),
    "macs": ("multiply-accumulates of one image", 1.0),
    "params": ("parameters", 1.0),
    "peak_bytes": ("peak memory, MB", 1e-6),
    "energy": ("energy of one image, J", 1.0),
    "fit_s": ("time of the fit, s", 1.0),
}
MACHINE_AXES = ("p50", "peak_bytes", "energy", "fit_s")
"""Costs that depend on the machine and are never compared across machines."""
ERROR_SCALE_FROM = 0.9
"""A board of fractions whose best row reaches this shows the log of the error; else its leaders would coincide."""


def index(boards: Sequence[Board]) -> dict[str, Any]:
    """Return the context of the index page."""
    return {"boards": [_card(board) for board in boards], "rows": sum(len(board.rows) for board in boards)}


def _card(board: Board) -> dict[str, Any]:
    leaders = [row for row in board.rows if row.band == 0] or list(board.rows[:1])
    unit = board.metrics[board.primary].unit if board.primary else ""
    return {
        "slug": board.slug,
        "title": board.title,
        "kind": board.kind,
        "data": board.dataset.name if board.dataset else "no data read",
        "n": f"{board.dataset.n:,}" if board.dataset else 0,
        "primary_title": metric_title(board.primary, unit),
        "leaders": [
            {
                "rank": rank_text(row),
                "model": row.model,
                "config": row.config,
                "score": _with_spread(row.metrics[board.primary], unit),
            }
            for row in leaders[:LEADERS_SHOWN]
        ],
        "more_leaders": max(0, len(leaders) - LEADERS_SHOWN),
        "count": len(board.rows),
        "unranked": len(board.unranked),
        "date": board.date,
    }


def _with_spread(cell: Cell, unit: str) -> str:
    return f"{score(cell.value or 0.0, unit)} {spread(cell, unit)}".strip()


def board(board: Board, rows: Sequence[BoardRow], *, with_picture: bool) -> dict[str, Any]:
    """Return the context of a board page that shows `rows`."""
    columns = used(columns_of(board), board)
    notes = notes_of(rows)
    spec = board.metrics.get(board.primary)
    unit = spec.unit if spec else ""
    bands = sorted({row.band for row in rows if row.band is not None})
    tinted = set(bands[::2])
    shown = []
    for place, row in enumerate(rows):
        first = place > 0 and row.band != rows[place - 1].band
        shown.append(_row(row, columns, notes, tinted=row.band in tinted, first=first))
    return {
        "board": board,
        "answer": answer(board),
        "primary_title": metric_title(board.primary, unit),
        "primary_about": f"{board.primary}, {'higher' if not spec or spec.higher_is_better else 'lower'} is better",
        "data": _data_line(board),
        "downloads": ["csv", "json", "md", "tex"],
        "rows": shown,
        "columns": columns,
        "notes": [
            *({"number": "", "text": text} for text in notes.shared),
            *({"number": number, "text": text} for number, text in enumerate(notes.numbered, start=1)),
        ],
        "timed": any(row.costs["p50"].value is not None for row in rows),
        "counted": any(row.costs["params"].value is not None for row in rows),
        "families": sorted({row.family for row in rows if row.family}),
        "hardware": [
            {"key": key, "label": label} for key, label in board.hardware if any(row.env_class == key for row in rows)
        ],
        "axes": [{"key": key, "title": title} for key, title, _ in _axes(rows)],
        "error_scale": unit == "fraction" and bool(spec and spec.higher_is_better),
        "picture": with_picture,
        "picture_alt": f"{board.primary} of {len(rows)} rows against the time of one image",
        "groups": len({row.model for row in rows}) < len(rows),
        "merged": any(len(row.runs) > 1 for row in rows),
        "timing_note": _timing_note(rows),
        "unranked": [
            {
                "href": _href(item.entry),
                "model": item.entry.record.model.called,
                "config": item.config,
                "seed": item.entry.record.seed,
                "state": item.state,
                "reason": shortened(item.reason),
                "score": unranked_score(board, item) or DASH,
                "date": item.entry.record.created_utc[:10],
            }
            for item in board.unranked
        ],
    }


def chart(board: Board, rows: Sequence[BoardRow]) -> dict[str, Any]:
    """Return the data of the scatter beyond the table's own cells; `ends` are in the order of the table's rows.

    Each of `ends` is [score low, score high, p50 low, p50 high], null where there is no interval.
    """
    if not rows:
        return {}
    spec = board.metrics[board.primary]
    titles = {column.key: column.title for column in columns_of(board)}
    return {
        "title": metric_title(board.primary, spec.unit),
        "primary": board.primary,
        "higher": spec.higher_is_better,
        "percent": spec.unit == "fraction",
        "scale": chart_scale(board, rows),
        "n": board.dataset.n if board.dataset else 1,
        "axes": [
            {
                "key": key,
                "title": titles[key],
                "label": label,
                "factor": AXES[key][1],
                "machine": key in MACHINE_AXES,
                "log": any((row.costs[key].value or 0) > 0 for row in rows),
            }
            for key, _, label in _axes(rows)
        ],
        "ends": [_ends(row, board.primary) for row in rows],
    }


def _ends(row: BoardRow, primary: str) -> list[float | None]:
    score, time = row.metrics[primary], row.costs["p50"]
    return [_rounded(value) for value in (score.low, score.high, time.low, time.high)]


def _rounded(value: float | None) -> float | None:
    """Return a value with seven digits, enough for a page; the CSV and JSON files have all digits."""
    return None if value is None else float(f"{value:.7g}")


def chart_scale(board: Board, rows: Sequence[BoardRow]) -> str:
    """Return `error` when the scatter shows scores on the log of the error, else `linear`."""
    spec = board.metrics[board.primary]
    best = max((row.metrics[board.primary].value or 0.0 for row in rows), default=0.0)
    return "error" if spec.unit == "fraction" and spec.higher_is_better and best >= ERROR_SCALE_FROM else "linear"


def _axes(rows: Sequence[BoardRow]) -> list[tuple[str, str, str]]:
    """Return (key, title, label) of the costs that at least one row has."""
    titles = {
        "p50": "p50",
        "macs": "MACs",
        "params": "params",
        "peak_bytes": "peak memory",
        "energy": "energy",
        "fit_s": "fit time",
    }
    return [
        (key, titles[key], label)
        for key, (label, _) in AXES.items()
        if any(row.costs[key].value is not None for row in rows)
    ]


def _row(row: BoardRow, columns: Sequence[BoardColumn], notes: Notes, *, tinted: bool, first: bool) -> dict[str, Any]:
    marks = {"tinted": tinted, "first": first, "leader": row.band == 0}
    return {
        "band": " ".join(name for name, holds in marks.items() if holds),
        "rank": rank_text(row),
        "href": _href(row.runs[0]),
        "model": row.model,
        "config": row.config,
        "family": row.family,
        "front": row.front,
        "flags": "; ".join(said_of(row)),
        "mark": notes.mark(row, ""),
        "cells": [_cell(row, column) for column in columns],
        "trust": row.trust,
        "trust_level": TRUST_ORDER.index(row.trust),
        "env_class": row.env_class,
        "hardware": row.hardware,
        "seeds": "seeds " + ", ".join(map(str, row.seeds)),
        "seed_count": len(row.seeds),
        "date": row_date(row),
        "plugin": f"{row.record.model.plugin} {row.record.model.plugin_version}",
    }


def _cell(row: BoardRow, column: BoardColumn) -> dict[str, Any]:
    cell = column.cell(row)
    title = cell.reason or ""
    if cell.value is not None:
        title = ""
        if cell.low is not None and cell.high is not None:
            title = f"95 %: {column.show(cell.low)} to {column.show(cell.high)}"
    shown = DASH if cell.value is None else column.show(cell.value)
    around = column.spread(cell) if column.level == "main" else ""
    number = _number(cell.value)
    return {
        "level": column.level,
        "value": number if around or number != shown else None,  # the script reads a bare number from the cell's text
        "shown": shown,
        "spread": around,
        "title": shortened(title, LONGEST_TITLE),
    }


def _number(value: float | None) -> str | None:
    """Return a number as text for an attribute."""
    return None if value is None else f"{value:.7g}"


def _data_line(board: Board) -> str:
    data = board.dataset
    return f"{data.name} {data.version}, {data.split}, {data.n:,} samples" if data else "not read"


def _timing_note(rows: Sequence[BoardRow]) -> str:
    kinds = {
        latency.interval
        for row in rows
        for entry in row.runs
        if (latency := entry.record.latency.get(HEADLINE)) is not None
    }
    if "prediction-95" not in kinds:
        return "Its interval is within one process, which understates the spread between processes."
    if kinds == {"prediction-95"}:
        return "Its 95 % interval is a prediction for the median of a further process."
    return "Some intervals are between processes, others within one process, which understates the spread."


def _href(entry: StoredRun) -> str:
    return f"runs/{entry.record.run_id}.html"


def copy_pictures(entry: StoredRun, place: Path) -> list[dict[str, Any]]:
    """Copy the PNG pictures a record lists, with their sizes; missing, invalid or too large ones are skipped."""
    found = []
    for plot in entry.record.plots:
        name = plot.file.removeprefix("plots/")
        source = entry.folder / "plots" / name
        listed = f"plots/{name}" in entry.record.artifacts and "/" not in name and not name.startswith(".")
        size = _png_size(source) if listed else None
        if size is None:
            continue
        shutil.copyfile(source, place / name)
        href = f"{entry.record.run_id}/{name}"
        found.append({"href": href, "width": size[0], "height": size[1], "alt": plot.alt, "title": plot.title})
    return found


def _png_size(path: Path) -> tuple[int, int] | None:
    """Return (width, height) of a PNG file of ordinary size, None for anything else."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MOST_PICTURE_BYTES:
            return None
        with path.open("rb") as file:
            head = file.read(24)
    except OSError:
        return None
    if len(head) < 24 or head[:8] != b"\x89PNG\r\n\x1a\n" or head[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">2I", head[16:24])
    return (width, height) if 0 < width <= 20_000 and 0 < height <= 20_000 else None
