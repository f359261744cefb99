"""The static site: one folder that works from file://, loads nothing from the network and runs only its own scripts."""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from markupsafe import Markup, escape

from mlcvbench.leaderboard.site import pages, run_page
from mlcvbench.leaderboard.standing.boards import Board
from mlcvbench.leaderboard.standing.rows import BoardRow, StoredRun
from mlcvbench.leaderboard.tables.export import TABLES
from mlcvbench.leaderboard.tables.terminal import plain

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent
VENDORED = ("d3-7.9.2.min.js", "plot-0.6.17.umd.min.js")
OWN = ("scatter.js", "board.js", "board.css", "icon.svg")
MOST_ROWS = 2_000
"""The most rows of one page; a larger board is split by hardware, and the CSV file always holds all rows."""
CSP = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file: 'unsafe-inline'; "
    "img-src 'self' file: data:; base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a board: its file and the rows on it."""

    file: str
    label: str
    rows: tuple[BoardRow, ...]


def write_site(boards: Sequence[Board], folder: Path, tables: Path) -> None:
    """Write the site of some boards into the new folder `folder`; their table files and pictures are in `tables`."""
    environment = make_environment()
    for part in ("assets", "data", "runs"):
        (folder / part).mkdir(parents=True)
    _write_assets(folder / "assets")
    _write(folder / "index.html", environment, "index.html", root="", **pages.index(boards))
    for board in boards:
        _write_board(board, folder, tables, environment)


def make_environment() -> Environment:
    """Return the template environment: everything escaped, undefined names refused, control characters removed."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_clean,
    )
    environment.filters["breakable"] = breakable
    return environment


def breakable(config: str) -> Markup:
    """Return a configuration's name as HTML: a setting stays on one line where it fits, and phones hide `fit.`.

    >>> print(breakable("fit.lr=0.1, k=3"))
    <span class="set"><span class="place">fit.</span>lr=<wbr>0.1,</span> <span class="set">k=<wbr>3</span>
    """
    text = re.sub(r"([=,|])(?=\S)", r"\1<wbr>", str(escape(plain(config))))
    parts = re.sub(r"(^|, )fit\.", r'\1<span class="place">fit.</span>', text).replace(
        ", ", ',</span> <span class="set">'
    )
    return Markup(f'<span class="set">{parts}</span>')  # noqa: S704 - escaped above


def json_for_page(data: Any) -> Markup:
    r"""Return JSON fit for a `<script type="application/json">` element: no `<`, `>` or `&` in it.

    >>> print(json_for_page({"a": "</script>"}))
    {"a":"\u003c/script\u003e"}
    """
    text = orjson.dumps(data).decode()
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - the characters that could end the element are escaped above


def split_pages(board: Board) -> list[Page]:
    """Return the pages of a board: one, or one per hardware when it has more rows than a page shows.

    Rows without hardware, whose predictions were made elsewhere, are on the first.
    """
    if len(board.rows) <= MOST_ROWS:
        return [Page(f"{board.slug}.html", "", board.rows)]
    machines = board.hardware or [("", "")]
    groups: dict[str, list[BoardRow]] = defaultdict(list)
    for row in board.rows:
        groups[row.env_class or machines[0][0]].append(row)
    return [
        Page(f"{board.slug}.html" if not index else f"{board.slug}-{index}.html", label, tuple(groups[key][:MOST_ROWS]))
        for index, (key, label) in enumerate(machines)
    ]


def _clean(value: Any) -> Any:
    """Remove control and direction characters from text; line ends are kept, for tracebacks."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return "\n".join(plain(line) for line in value.split("\n"))
    return value


def _write(path: Path, environment: Environment, template: str, **context: Any) -> None:
    text = environment.get_template(template).render(csp=CSP, **context)
    path.write_text(text, encoding="utf-8", newline="\n")


def _write_assets(folder: Path) -> None:
    for name in OWN:
        (folder / name).write_bytes((HERE / "assets" / name).read_bytes())
    for name in VENDORED:
        (folder / name).write_bytes((HERE / "vendor" / name).read_bytes())
    licences = sorted((HERE / "vendor").glob("LICENSE.*"))
    text = "\n\n".join(f"{path.suffix[1:]}\n\n{path.read_text(encoding='utf-8')}" for path in licences)
    (folder / "LICENSES.txt").write_text(text, encoding="utf-8", newline="\n")


def _write_board(board: Board, folder: Path, tables: Path, environment: Environment) -> None:
    files = [tables / f"{board.slug}.{extension}" for extension in (*TABLES, "svg")]
    for file in filter(Path.is_file, files):
        shutil.copyfile(file, folder / "data" / file.name)
    parts = split_pages(board)
    for page in parts:
        others = [{"href": other.file, "label": other.label} for other in parts if other is not page]
        context = pages.board(board, page.rows, with_picture=files[-1].is_file())
        data = json_for_page(pages.chart(board, page.rows))
        _write(folder / page.file, environment, "board.html", root="", others=others, data_json=data, **context)
    for row in board.rows:
        for entry in row.runs:
            _write_run(board, entry, folder, environment, row=row)
    for item in board.unranked:
        _write_run(board, item.entry, folder, environment, config=item.config, reason=item.reason)


def _write_run(
    board: Board, entry: StoredRun, folder: Path, environment: Environment, *, row: BoardRow | None = None, **said: str
) -> None:
    """Write the page of one run with its record and pictures."""
    run_id = entry.record.run_id
    place = folder / "runs" / run_id
    place.mkdir()
    (place / "record.json").write_bytes((entry.folder / "record.json").read_bytes())
    pictures = pages.copy_pictures(entry, place)
    context = run_page.run(board, entry, row, pictures, config=said.get("config", ""), reason=said.get("reason", ""))
    _write(folder / "runs" / f"{run_id}.html", environment, "run.html", root="../", **context)
