"""`mlcvbench leaderboard build|verify|publish|retract`: boards from runs, and checks that they can be recomputed."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mlcvbench.cli.command import Command
from mlcvbench.cli.completers import joined, paths, run_id, settings_of, words
from mlcvbench.processes.stdout import emit
from mlcvbench.specs import Param

RUNS = Param("runs", "str", "runs", "the folder of runs")
OUT = Param("out", "str", "board", "the folder of boards")
WITH_SITE = Param("site", "bool", True, "whether pages are built")
ARCHIVE = Param("archive", "str", None, "where `publish` put large predictions")
REASON = Param("reason", "str", None, "why the run is retracted, in one line")
UNDO = Param("undo", "bool", False, "undo the retraction")
RUNS_AND_OUT = paths(runs=RUNS.help, out=OUT.help)
ARCHIVE_PATH = paths(archive=ARCHIVE.help)


@click.group("leaderboard")
def leaderboard() -> None:
    """Build, verify or publish leaderboards, or retract a run."""


@leaderboard.command("build", cls=Command, short_help="Build the boards of a folder of runs.")
@click.argument("settings", nargs=-1, shell_complete=settings_of(joined(RUNS_AND_OUT, words(site=("on", "off")))))
@click.option("--json", "as_json", is_flag=True, help="Print the boards as JSON.")
def build(settings: tuple[str, ...], as_json: bool) -> None:
    """Build the boards of a folder of runs: Markdown, CSV, JSON, LaTeX and one static site.

    SETTINGS: runs=DIR (default runs), out=DIR (default board), site=on|off (default on).
    """
    import gc

    from mlcvbench.leaderboard.build import SITE, build_boards
    from mlcvbench.leaderboard.tables.export import to_json
    from mlcvbench.plan.words import read_words

    given = read_words(settings, (RUNS, OUT, WITH_SITE)).values
    site = given["site"]
    out = Path(given["out"])
    gc.disable()
    built = build_boards(Path(given["runs"]), out, site=site)
    gc.freeze()  # the process ends soon, and one more scan of 10,000 records would take 0.4 s
    gc.enable()
    if as_json:
        emit(json.dumps({"boards": [to_json(b) for b in built.boards], "problems": list(built.problems)}, indent=2))
    else:
        for board in built.boards:
            emit(f"{board.slug}: {len(board.rows)} ranked, {len(board.unranked)} not ranked")
    for problem in built.problems:
        click.echo(f"skipped {problem}", err=True)
    if built.problems:
        runs = "run was" if len(built.problems) == 1 else "runs were"
        click.echo(f"{len(built.problems)} {runs} skipped; `mlcvbench leaderboard verify` says more.", err=True)
    if not as_json:
        emit(f"open {out / SITE / 'index.html'}" if site else f"tables in {out}")


@leaderboard.command("verify", cls=Command, short_help="Check every run and recompute its metrics.")
@click.argument("settings", nargs=-1, shell_complete=settings_of(joined(RUNS_AND_OUT, ARCHIVE_PATH)))
@click.option("--json", "as_json", is_flag=True, help="Print every check as JSON.")
def verify(settings: tuple[str, ...], as_json: bool) -> None:
    """Check every run of a folder: schema, hashes, metrics recomputed bit for bit, and the tables built from them.

    SETTINGS: runs=DIR (default runs), out=DIR (default board: its tables are compared where they exist), archive=DIR
    (where `publish` put large predictions), and data.NAME=VALUE for paths, which a record does not hold, or
    DATASET.data.NAME=VALUE where data sets are in several places. Any error: exit 1. The findings are kept in
    runs/verified.json, from which `leaderboard build` takes the trust column.
    """
    from mlcvbench.cli.runs import data_settings
    from mlcvbench.errors import CheckFailedError
    from mlcvbench.leaderboard.verify import lines, verify_runs
    from mlcvbench.plan.words import read_words

    asked = read_words(settings, (RUNS, OUT, ARCHIVE), places=("data",), each=("data",))
    given = asked.values
    archive = Path(given["archive"]) if given["archive"] else None
    result = verify_runs(Path(given["runs"]), Path(given["out"]), data_settings(asked.settings), archive)
    if as_json:
        emit(json.dumps(result.plain(), indent=2))
    else:
        emit("\n".join(lines(result)))
    if result.errors:
        raise CheckFailedError(f"{len(result.errors)} of {len(result.checks)} checks failed.")


@leaderboard.command("publish", cls=Command, short_help="Copy, build and verify what goes into git.")
@click.argument("settings", nargs=-1, shell_complete=settings_of(RUNS_AND_OUT))
def publish_runs(settings: tuple[str, ...]) -> None:
    """Copy valid runs into a folder for git, with what is needed to recompute them, and build and verify its boards.

    SETTINGS: runs=DIR (default runs), out=DIR (default board) and data.NAME=VALUE for paths, which a record does not
    hold, or DATASET.data.NAME=VALUE where data sets are in several places. Records are copied byte for byte;
    predictions over 200 kB go to out/archive, one folder per sha256. Newer runs replace older ones of the same request.
    """
    from mlcvbench.cli.runs import data_settings
    from mlcvbench.leaderboard.publish import publish
    from mlcvbench.plan.words import read_words

    asked = read_words(settings, (RUNS, OUT), places=("data",), each=("data",))
    given = asked.values
    done = publish(Path(given["runs"]), Path(given["out"]), data_settings(asked.settings))
    replaced = f", {len(done.dropped)} older removed" if done.dropped else ""
    archived = f", predictions of {done.archived} archived" if done.archived else ""
    left = f", {done.left_out} that no board ranks left out" if done.left_out else ""
    emit(f"{len(done.runs)} run{'s' * (len(done.runs) != 1)} published{replaced}{archived}{left}\n{done.summary}")


@leaderboard.command("retract", cls=Command, short_help="Retract a run, with a reason.")
@click.argument("run", shell_complete=run_id)
@click.argument("settings", nargs=-1, shell_complete=settings_of(words(reason=(), undo=("on",))))
def retract_run(run: str, settings: tuple[str, ...]) -> None:
    """Retract RUN: boards show it below the table, with the date and the reason, and no longer rank it.

    SETTINGS: reason=TEXT, why, in one line; or undo=on, which undoes the retraction. Nothing is deleted: the run keeps
    its predictions, and `leaderboard publish` copies a retraction and never undoes one. RUN is a run's folder, or its
    id (or the unique start of it) in runs/.
    """
    from mlcvbench.cli.runs import open_run
    from mlcvbench.errors import OverrideError
    from mlcvbench.leaderboard.retracting import restore, retract
    from mlcvbench.plan.words import read_words

    given = read_words(settings, (REASON, UNDO)).values
    undo = given["undo"]
    if undo == (given["reason"] is not None):
        raise OverrideError("leaderboard retract needs either reason=TEXT, why the run is retracted, or undo=on.")
    record, folder = open_run(run)
    if undo:
        restore(record, folder)
        emit(f"{record.run_id}: no longer retracted")
    else:
        made = retract(record, folder, given["reason"])
        emit(f"{record.run_id}: retracted on {made.date}: {made.reason}")
    emit("boards show it once they are built again: mlcvbench leaderboard build")
