"""`mlcvbench list`."""

from __future__ import annotations

import click

from mlcvbench.cli.command import Command
from mlcvbench.listing import list_text
from mlcvbench.stdout import emit


@click.command("list", cls=Command)
@click.argument("what", required=False, metavar="[tasks|models|datasets|plugins]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_names(what: str | None, as_json: bool) -> None:
    """List tasks with their definitions, data sets, models and plugins, or one of these."""
    emit(list_text(what, as_json))
