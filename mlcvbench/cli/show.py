"""`mlcvbench show RUN`: one stored run, for reading."""

from __future__ import annotations

import click

from mlcvbench.cli.command import Command
from mlcvbench.cli.completers import run_id
from mlcvbench.processes.stdout import emit


@click.command("show", cls=Command)
@click.argument("run", shell_complete=run_id)
@click.option("--json", "as_json", is_flag=True, help="Print the record itself.")
@click.option("--traceback", is_flag=True, help="Print the traceback of a failed run.")
def show(run: str, as_json: bool, traceback: bool) -> None:
    """Show a stored run: RUN is its folder, or its id (or the unique start of it) in runs/."""
    from mlcvbench.cli.runs import open_run
    from mlcvbench.errors import RequestError
    from mlcvbench.records.display import to_text

    record, _ = open_run(run)
    if as_json:
        emit(record.model_dump_json(indent=2))
        return
    found = record.error.traceback if record.error is not None else None
    if traceback and not found:
        raise RequestError(f"run {record.run_id!r} ended with status {record.status} and has no traceback.")
    emit(to_text(record))
    if found:
        emit(f"\n{found.rstrip()}" if traceback else f"\ntraceback: mlcvbench show {run} --traceback")
