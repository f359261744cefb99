"""`mlcvbench data preview NAME`: look at a data set."""

from __future__ import annotations

import click

from mlcvbench.cli.command import Command
from mlcvbench.stdout import emit

SHORT = "Draw samples of a data set with their ground truth."


@click.group("data")
def data() -> None:
    """Look at data sets (`mlcvbench list datasets` names them)."""


@data.command("preview", cls=Command, short_help=SHORT)
@click.argument("name")
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
def preview(name: str, settings: tuple[str, ...]) -> None:
    """Draw samples of NAME, a data set or a definition, with their ground truth as a contact sheet (PNG).

    A data set that several task kinds have gives one sheet a kind.

    \b
    KEYs:
      count=8            samples, spread over the split
      split=test         train, val or test
      task=KIND          one of the kinds that have a data set of that name
      out=FILE           the PNG to write; preview-NAME.png by default
      data.NAME=VALUE    settings of the data set, as `mlcvbench info` lists them
      data.seed=0        other rendered scenes, other splits
    """  # noqa: D301 - backslash-b is click's mark of lines that stay as they are
    from mlcvbench.preview import no_pictures, plan_previews, write_preview

    requests = plan_previews(name, settings)
    written = [sheet for sheet in map(write_preview, requests) if sheet is not None]
    if not written:
        raise no_pictures(requests)
    for sheet in written:
        emit(f"wrote {sheet.path}: {sheet.shows}")
