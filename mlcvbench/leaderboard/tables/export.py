"""A board as files: CSV (every column), JSON (stable keys), Markdown and LaTeX. Untrusted text is escaped."""

from __future__ import annotations

import csv
import io
from typing import Any

import orjson

from mlcvbench.leaderboard.standing.boards import Board
from mlcvbench.leaderboard.standing.rows import BoardRow, Unranked
from mlcvbench.leaderboard.tables.columns import BoardColumn, columns_of, used
from mlcvbench.leaderboard.tables.notes import Notes, notes_of
from mlcvbench.leaderboard.tables.terminal import plain
from mlcvbench.leaderboard.tables.wording import DASH, answer, metric_title, rank_text, unranked_score
from mlcvbench.records.schema import ModelInfo

BOARD_SCHEMA = 1
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
LONGEST_REASON = 300
FLAG = "⚑"
_MARKDOWN = str.maketrans({"&": "&amp;", "<": "&lt;", **{c: f"\\{c}" for c in "\\`*[]|~"}})
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{c: f"\\{c}" for c in "&%$#_{}"},
    }
)


TABLES = ("md", "csv", "json", "tex")


def table_files(board: Board, picture: str | None = None) -> dict[str, str]:
    """Return the content of each table file of a board by its extension."""
    return {
        "md": to_markdown(board, picture),
        "csv": to_csv(board),
        "json": orjson.dumps(to_json(board), option=orjson.OPT_INDENT_2).decode() + "\n",
        "tex": to_latex(board),
    }


def to_csv(board: Board) -> str:
    """Return every ranked row with every column; units are in the header, interval ends in their own columns."""
    columns = columns_of(board)
    header = ["model", "config", "family", "rank_low", "rank_high", "band"]
    for column in columns:
        unit = f" [{column.unit}]" if column.unit not in ("", "1") else ""
        header += [f"{column.key}{unit}"]
        if _has_interval(column, board):
            header += [f"{column.key}_low{unit}", f"{column.key}_high{unit}"]
    header += ["hardware", "env_class", "trust", "pareto", "seeds", "flags", "notices"]
    header += ["plugin", "plugin_version", "date", "runs"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([csv_text(name) for name in header])
    for row in board.rows:
        cells: list[Any] = [csv_text(row.model), csv_text(row.config), csv_text(row.family)]
        cells += [row.rank_low, row.rank_high, row.band]
        for column in columns:
            cell = column.cell(row)
            cells += [cell.value]
            cells += [cell.low, cell.high] if _has_interval(column, board) else []
        texts = [row.hardware, row.env_class, row.trust, "front" if row.front else "", _joined(row.seeds)]
        texts += ["; ".join(row.flags), "; ".join(f"{notice.code}: {notice.text}" for notice in row.notices)]
        texts += [row.record.model.plugin, row.record.model.plugin_version]
        texts += [row_date(row), _joined(entry.record.run_id for entry in row.runs)]
        writer.writerow([*cells, *map(csv_text, texts)])
    return out.getvalue()


def csv_text(text: str) -> str:
    """Return text that no spreadsheet interprets as a formula (OWASP ASVS 1.2.10).

    >>> csv_text("=1+1"), csv_text("knn")
    ("'=1+1", 'knn')
    """
    return f"'{plain(text)}" if text.startswith(FORMULA_STARTS) else plain(text)


def to_json(board: Board) -> dict[str, Any]:
    """Return the board as plain data; the keys are stable within a `schema_version`."""
    columns = columns_of(board)
    return {
        "schema_version": BOARD_SCHEMA,
        "board": {
            "slug": board.slug,
            "title": board.title,
            "kind": board.kind,
            "definition": board.definition,
            "protocol_id": board.protocol_id,
            "dataset": board.dataset.model_dump() if board.dataset else None,
            "primary": board.primary,
            "rank_method": board.rank_method,
            "date": board.date,
            "answer": answer(board),
        },
        "columns": [
            {"key": c.key, "title": c.title, "unit": c.unit, "better": c.better, "about": c.about} for c in columns
        ],
        "rows": [_row_json(row, columns) for row in board.rows],
        "unranked": [
            {
                "run": row.entry.record.run_id,
                **_names(row.entry.record.model),
                "config": row.config,
                "seed": row.entry.record.seed,
                "state": row.state,
                "reason": row.reason,
                "value": _unranked_value(board, row),
                "notices": [notice.model_dump() for notice in row.entry.record.notices],
                "date": row.entry.record.created_utc[:10],
            }
            for row in board.unranked
        ],
    }


def _unranked_value(board: Board, item: Unranked) -> float | None:
    metric = item.entry.record.metrics.get(board.primary)
    return None if metric is None else metric.value


def _names(model: ModelInfo) -> dict[str, str]:
    """Return a model's name, and its title where it has one."""
    return {"model": model.name, **({"title": model.title} if model.title else {})}


def _row_json(row: BoardRow, columns: list[BoardColumn]) -> dict[str, Any]:
    cells = {column.key: column.cell(row) for column in columns}
    return {
        **_names(row.record.model),
        "config": row.config,
        "family": row.family,
        "rank": [row.rank_low, row.rank_high],
        "band": row.band,
        "values": {
            key: {"value": c.value, "low": c.low, "high": c.high, "reason": c.reason} for key, c in cells.items()
        },
        "hardware": row.hardware,
        "env_class": row.env_class,
        "trust": row.trust,
        "pareto": row.front,
        "flags": list(row.flags),
        "notices": [notice.model_dump() for notice in row.notices],
        "coverage": row.record.operations.coverage,
        "uncounted": row.record.operations.uncounted,
        "seeds": list(row.seeds),
        "plugin": row.record.model.plugin,
        "plugin_version": row.record.model.plugin_version,
        "date": row_date(row),
        "runs": [entry.record.run_id for entry in row.runs],
    }


PAGE_ROWS, LATEX_NAME = 40, 40
"""The most rows of a LaTeX table on one page, and letters of a name on one line."""
PRINTED_COSTS = ("p50", "macs", "params", "peak_bytes", "fit_s")


def to_markdown(board: Board, picture: str | None = None) -> str:
    """Return the board as a Markdown page; `picture` is the path of its scatter."""
    lines = [f"# {md_text(board.title)}", "", md_text(answer(board)), "", _markdown_facts(board), ""]
    if picture:
        lines += [f"![{md_text(board.primary)} against the time of one image]({picture})", ""]
    if board.rows:
        lines += _markdown_table(board)
    if board.unranked:
        unit = board.metrics[board.primary].unit if board.primary in board.metrics else ""
        title = md_text(metric_title(board.primary, unit)) or "score"
        lines += ["## Not ranked", "", f"| model | seed | {title} | why |", "| :--- | ---: | ---: | :--- |"]
        for item in board.unranked:
            name = f"{item.entry.record.model.called} {item.config}".strip()
            value = unranked_score(board, item) or DASH
            lines.append(
                f"| {md_text(name)} | {item.entry.record.seed} | {value} | {md_text(shortened(item.reason))} |"
            )
        lines.append("")
    return "\n".join(lines)


def _markdown_table(board: Board) -> list[str]:
    """Return the ranked rows with the notes below them."""
    columns, notes = _table_columns(board), notes_of(board.rows)
    lines = ["| rank | model | " + " | ".join(md_text(c.title) for c in columns) + " | trust |"]
    lines += ["| ---: | :--- | " + " | ".join("---:" for _ in columns) + " | :--- |"]
    for row in board.rows:
        shown = " | ".join(shown_cell(row, column) for column in columns)
        marks = " ".join(filter(None, (md_text(row.name), "◆" if row.front else "", notes.mark(row, FLAG))))
        lines.append(f"| {rank_text(row)} | {marks} | {shown} | {row.trust} |")
    lines += [
        "",
        "± is half the 95 % interval, [ ] its ends where it is asymmetric. Rank: all the ranks a row can have,",
    ]
    lines += ["all pairs tested together. Rows that share first place are not separated."]
    if any(row.front for row in board.rows):
        lines += ["◆: on the Pareto front of score and p50."]
    said = notes.lines(FLAG)
    return [*lines, "", *(f"- {md_text(shortened(text))}" for text in said), *([""] if said else [])]


def _table_columns(board: Board) -> list[BoardColumn]:
    """Return the columns of the Markdown and LaTeX tables: the score, the metrics beside it and the costs that some row
    has.
    """
    printed = {board.primary, *board.beside, *PRINTED_COSTS}
    return used([column for column in columns_of(board) if column.key in printed], board)


def _markdown_facts(board: Board) -> str:
    data = f"{board.dataset.name} {board.dataset.version}, {board.dataset.n:,} samples" if board.dataset else "unknown"
    machines = "; ".join(label for _, label in board.hardware)
    facts = [f"Protocol `{md_code(board.protocol_id)}`", f"data {md_text(data)}"]
    facts += [f"hardware {md_text(machines)}"] if machines else []
    return " · ".join([*facts, f"newest run {board.date}"])


def shown_cell(row: BoardRow, column: BoardColumn) -> str:
    """Return a cell as text: `98.53 ±0.24` for a metric or p50, the bare number for another cost, a dash for null."""
    cell = column.cell(row)
    if cell.value is None:
        return DASH
    return f"{column.show(cell.value)} {column.spread(cell)}".strip()


def md_text(text: str) -> str:
    r"""Return text escaped for Markdown, on one line.

    >>> md_text("a|b <img> [x](y)")
    'a\\|b &lt;img> \\[x\\](y)'
    """
    return plain(text).translate(_MARKDOWN)


def md_code(text: str) -> str:
    """Return text escaped for a Markdown code span inside a table."""
    return plain(text).replace("`", "'").replace("|", "\\|")


def to_latex(board: Board) -> str:
    """Return the ranked rows as a LaTeX table: booktabs, and longtable where it is longer than a page.

    Names longer than a line are broken in a column of fixed width.
    """
    columns, notes = _table_columns(board), notes_of(board.rows)
    long = len(board.rows) > PAGE_ROWS
    wraps = any(len(row.name) > LATEX_NAME for row in board.rows)
    table, name = ("longtable" if long else "tabular"), (r"p{0.4\linewidth}" if wraps else "l")
    lines = [
        f"% {tex_text(board.title)}, {tex_text(board.protocol_id)}, newest run {board.date}",
        rf"% needs \usepackage{{booktabs{',longtable' if long else ''}}}",
        rf"\begin{{{table}}}{{r{name}{'r' * len(columns)}}}",
        r"\toprule",
        " & ".join(["rank", "model", *(tex_text(c.title) for c in columns)]) + r" \\",
        r"\midrule",
        *([r"\endhead", r"\bottomrule", r"\endfoot"] if long else []),
    ]
    for index, row in enumerate(board.rows):
        if index and row.band != board.rows[index - 1].band:
            lines.append(r"\addlinespace")
        shown = [tex_text(shown_cell(row, c)).replace("±", r"$\pm$") for c in columns]
        text = rf"\raggedright {tex_text(row.name)}" if wraps else tex_text(row.name)
        text += f"$^{{{mark}}}$" if (mark := notes.mark(row, "")) else ""
        lines.append(" & ".join([rank_text(row).replace("-", "--"), text, *shown]) + r" \\")
    return "\n".join([*lines, *([] if long else [r"\bottomrule"]), rf"\end{{{table}}}", *_latex_notes(notes), ""])


def _latex_notes(notes: Notes) -> list[str]:
    """Return the notes as a paragraph below a table; empty where there are none."""
    said = [f"All rows: {tex_text(shortened(text)).removesuffix('.')}." for text in notes.shared]
    for number, text in enumerate(notes.numbered, start=1):
        said.append(f"$^{{{number}}}${tex_text(shortened(text)).removesuffix('.')}.")
    return [r"\par\smallskip{\footnotesize", *said, r"\par}"] if said else []


def tex_text(text: str) -> str:
    r"""Return text escaped for LaTeX.

    >>> print(tex_text("small_cnn 5%"))
    small\_cnn 5\%
    """
    return plain(text).translate(_LATEX)


def shortened(text: str, most: int = LONGEST_REASON) -> str:
    """Return text cut to `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def row_date(row: BoardRow) -> str:
    """Return the day of the row's newest run, ISO."""
    return max(entry.record.created_utc for entry in row.runs)[:10]


def _has_interval(column: BoardColumn, board: Board) -> bool:
    return column.key in board.metrics or column.key == "p50"


def _joined(values: Any) -> str:
    return " ".join(str(value) for value in values)
