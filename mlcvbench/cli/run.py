"""`mlcvbench run`: fit, score, time and count methods on a task, then the leaderboard."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlcvbench.cli.command import Command, run_rows
from mlcvbench.cli.completers import run_setting
from mlcvbench.errors import StoreError
from mlcvbench.processes.stdout import emit

if TYPE_CHECKING:
    from mlcvbench.leaderboard.standing.boards import Board
    from mlcvbench.plan.planning import Plan
    from mlcvbench.records.schema import Record
    from mlcvbench.records.store import Store
    from mlcvbench.running.sweep import SweepResult

SITE_FOLDER = "_board"
WIDTH = 80


@click.command("run", cls=Command, keys=run_rows)
@click.argument("settings", nargs=-1, required=True, metavar="KEY=VALUE...", shell_complete=run_setting)
@click.option("--dry-run", is_flag=True, help="Print the resolved runs without starting them.")
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON instead of the leaderboard.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def run(settings: tuple[str, ...], dry_run: bool, as_json: bool, quiet: bool) -> None:
    """Fit, score, time and count methods on a task, then print the leaderboard.

    Commas sweep, brackets protect them: task=digits model=knn,small_cnn seed=0,1,2 knn.k=5 model.hidden=[64,64].
    With select=grid|random such lists of model.* and fit.* form one run's search instead, with random also ranges:
    log(a,b) uniform(a,b) int(a,b). A run stored with status ok under the same key is not repeated.
    """
    from mlcvbench.plan.planning import plan

    request = plan(settings)
    if dry_run:
        emit(_plan_text(request, as_json))
        return
    from mlcvbench.records.store import Store
    from mlcvbench.running.progress import Reporter
    from mlcvbench.running.sweep import run_sweep

    store = Store(request.out)
    store.ensure_writable()
    with Reporter(quiet=quiet) as reporter:
        result = run_sweep(request.configs, store, on_event=reporter)
    if as_json:
        emit(json.dumps([record.model_dump(mode="json") for record in result.records], indent=2))
    elif result.interrupted is None:
        try:
            _show(result, store)
        except StoreError as error:
            error.exit_code = 1  # the request was valid; its boards could not be stored
            raise
    if result.interrupted is not None:
        click.echo(result.summary, err=True)  # exit at once: after Ctrl-C nobody waits for a board
    sys.exit(result.exit_code)


def _plan_text(request: Plan, as_json: bool) -> str:
    from mlcvbench.plan.command import command_of
    from mlcvbench.plan.search import search_lines

    if as_json:
        return json.dumps([config.to_dict() for config in request.configs], indent=2)
    lines = [f"{len(request.configs)} run{'s' * (len(request.configs) != 1)} into {request.out}:"]
    for config in request.configs:
        lines.append(f"  {command_of(config)}")
        if config.search is not None:
            lines += [f"    {line}" for line in search_lines(config)]
    return "\n".join(lines)


def _show(result: SweepResult, store: Store) -> None:
    """Print the boards of this request's definitions, what failed, and where everything is stored."""
    from mlcvbench.leaderboard.build import build_boards
    from mlcvbench.leaderboard.tables.terminal import render_terminal

    names = {record.run_id for record in result.records}
    if not names:
        return
    built = build_boards(store.root, store.root / SITE_FOLDER)
    for board in built.boards:
        if names & _run_ids(board):
            emit(render_terminal(board))
    _show_notices([record for record in result.records if record.run_id not in _ranked(built.boards)])
    for record in result.records:
        if record.partial and record.status == "ok":
            emit(f"{_partial(record)}\n")
    emit(f"records  {_shown(store.root)}\nboard    {_shown(store.root / SITE_FOLDER / 'site' / 'index.html')}")


def _show_notices(records: Sequence[Record]) -> None:
    """Print the notices of records without a board, each sentence once, with the models it concerns."""
    import textwrap

    said: dict[str, list[str]] = {}
    for record in records:
        for notice in record.notices:
            said.setdefault(notice.text, []).append(record.model.called)
    for text, models in said.items():
        line = f"notice ({', '.join(dict.fromkeys(models))}): {text}"
        emit("\n".join(textwrap.wrap(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False)))
    if said:
        emit("")


def _partial(record: Record) -> str:
    """Return the score of a run on the first samples, which no board shows."""
    from mlcvbench.records.display import metric_value

    primary = record.primary_metric or ""
    n = record.dataset.n if record.dataset else 0
    value = metric_value(record.metrics[primary]) if primary in record.metrics else "-"
    return f"{record.run_id}\n    {primary} {value} on the first {n:,} samples; not ranked"


def _run_ids(board: Board) -> set[str]:
    """Return the runs behind a board, ranked or not."""
    return _ranked([board]) | {row.entry.record.run_id for row in board.unranked}


def _ranked(boards: Sequence[Board]) -> set[str]:
    """Return the runs that boards rank; their notes are below the tables."""
    return {entry.record.run_id for board in boards for row in board.rows for entry in row.runs}


def _shown(path: Path) -> str:
    """Return a path relative to the working folder when it is below it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
