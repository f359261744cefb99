"""`leaderboard build`: from a folder of runs to files per board and one static site. Same records, same bytes."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlcvbench.errors import StoreError
from mlcvbench.leaderboard.standing.boards import Board, boards_of
from mlcvbench.leaderboard.tables.export import table_files
from mlcvbench.leaderboard.verdicts import read_report
from mlcvbench.storage.durable import remove_tree, replace_text, storing

SITE = "site"
MARKER = Path("assets", "board.js")


@dataclass(frozen=True, slots=True)
class Built:
    """The result of a build: boards, the files written below `out`, and one line per run that could not be read."""

    boards: tuple[Board, ...]
    files: tuple[Path, ...]
    problems: tuple[str, ...]


def build_boards(runs: Path, out: Path, *, site: bool = True) -> Built:
    """Write board.md, .csv, .json and .tex of each board into `out`, and unless `site` is false, pictures and pages.

    StoreError when `runs` is not a folder or holds no run, or when `out` cannot be written or is among the runs.
    """
    refuse_inside(out, runs)
    with _collector_off():
        boards, problems = read_boards(runs)
        with storing(out):
            out.mkdir(parents=True, exist_ok=True)
            files = _write_pictures(boards, out) if site else []
            files += [path for board in boards for path in write_tables(board, out)]
            if site:
                files += _replace_site(boards, out)
    return Built(tuple(boards), tuple(files), tuple(problems))


def refuse_inside(out: Path, runs: Path) -> None:
    """StoreError for a board folder whose files would be taken for runs; those below `_NAME` are not."""
    below = out.resolve().parts[len(runs.resolve().parts) :] if out.resolve().is_relative_to(runs.resolve()) else None
    if below is not None and not (below and below[0].startswith(("_", "."))):
        raise StoreError(
            f"out={out} lies in the folder of runs, where boards would be taken for runs; choose another out=DIR, such "
            f"as {runs / '_board'}."
        )


@contextmanager
def _collector_off() -> Iterator[None]:
    """Disable the cycle collector: scanning 10,000 records, which hold no cycles, again and again takes seconds."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def read_boards(runs: Path) -> tuple[list[Board], list[str]]:
    """Return the boards of a runs folder, and one line per run that cannot be read."""
    from mlcvbench.records.store import Store

    if not runs.is_dir():
        raise StoreError(
            f"no folder {str(runs)!r}: wanted the folder of runs that `mlcvbench run` wrote; give runs=DIR."
        )
    pairs, found = Store(runs).records()
    problems = [f"{problem.path.name}: {problem.message}" for problem in found]
    if not pairs:
        damaged = f"; {len(problems)} cannot be read" if problems else ""
        raise StoreError(f"{str(runs)!r} holds no readable run{damaged}; give runs=DIR or run something first.")
    report = read_report(runs)
    return boards_of(pairs, recomputed=report.recomputed, refuted=report.refuted), problems


def _write_pictures(boards: list[Board], out: Path) -> list[Path]:
    """Write board.svg of each board that has timed rows into `out` and return their paths."""
    from mlcvbench.leaderboard.site.figure import scatter_svg

    written = []
    for board in boards:
        path, picture = out / f"{board.slug}.svg", scatter_svg(board)
        if picture is None:
            path.unlink(missing_ok=True)
        else:
            replace_text(path, picture)
            written.append(path)
    return written


def write_tables(board: Board, out: Path) -> list[Path]:
    """Write the table files of a board into `out` and return their paths."""
    written = []
    for extension, text in table_files(board, picture_in(out, board)).items():
        path = out / f"{board.slug}.{extension}"
        replace_text(path, text)
        written.append(path)
    return written


def picture_in(out: Path, board: Board) -> str | None:
    """Return the name of a board's picture in `out`, None where there is none."""
    name = f"{board.slug}.svg"
    return name if (out / name).is_file() else None


def _replace_site(boards: list[Board], out: Path) -> list[Path]:
    """Build the site beside the old one and swap them; refuse to remove a folder that is not a board site."""
    from mlcvbench.leaderboard.site.site import write_site

    final, fresh, old = out / SITE, out / f".{SITE}-{os.getpid()}", out / f".{SITE}-old-{os.getpid()}"
    if final.exists() and not (final / MARKER).is_file() and any(final.iterdir()):
        raise StoreError(f"{str(final)!r} exists and is not a board site; move it away or choose another out=DIR.")
    try:
        write_site(boards, fresh, out)
        if final.exists():
            final.rename(old)
        fresh.rename(final)
    finally:
        remove_tree(fresh)
        remove_tree(old)
    return [path for path in sorted(final.rglob("*")) if path.is_file()]
