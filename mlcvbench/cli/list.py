"""`mlcvbench list`."""

from __future__ import annotations

import click

from mlcvbench.cli.command import Command
from mlcvbench.cli.completers import names_of
from mlcvbench.cli.listing import SECTIONS, list_text
from mlcvbench.processes.stdout import emit


@click.command("list", cls=Command)
@click.argument("what", required=False, metavar="[tasks|models|datasets|plugins]", shell_complete=names_of(*SECTIONS))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_names(what: str | None, as_json: bool) -> None:
    """List tasks with their definitions, data sets, models and plugins, or one of these."""
    emit(list_text(what, as_json))
