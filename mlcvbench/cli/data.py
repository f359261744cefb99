"""`mlcvbench data preview|check NAME`: look at a data set."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from mlcvbench.cli import completers
from mlcvbench.cli.command import Command
from mlcvbench.processes.stdout import emit

if TYPE_CHECKING:
    from mlcvbench.contract import LoadedData
    from mlcvbench.loading.broken import Broken
    from mlcvbench.plan.data_requests import DataRequest
    from mlcvbench.specs import Param


def _shared_keys() -> dict[str, Param]:
    """Return the keys of every command here, for completion."""
    from mlcvbench.plan.data_requests import SEED, TASK
    from mlcvbench.registry import get_registry

    kinds = tuple(entry.spec.name for entry in get_registry().tasks())
    return {TASK.name: replace(TASK, choices=kinds), SEED.name: SEED}


def _preview_keys() -> dict[str, Param]:
    from mlcvbench.analysis.preview import COUNT, OUT, SPLIT

    return {**_shared_keys(), **{param.name: param for param in (COUNT, SPLIT, OUT)}}


@click.group("data")
def data() -> None:
    """Look at data sets (`mlcvbench list datasets` names them)."""


@data.command("preview", cls=Command, short_help="Draw samples of a data set with their ground truth.")
@click.argument("name", shell_complete=completers.data_name)
@click.argument(
    "settings", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=completers.data_settings_of(_preview_keys)
)
def preview(name: str, settings: tuple[str, ...]) -> None:
    """Draw samples of NAME, a data set or a definition, with their ground truth as a contact sheet (PNG).

    A data set of several task kinds gives one sheet per kind.

    \b
    KEYs:
      count=8            samples, spread over the split
      split=test         train, val or test
      task=KIND          one of the kinds that have a data set of that name
      out=FILE           the PNG to write; preview-NAME.png by default
      data.NAME=VALUE    settings of the data set, as `mlcvbench info` lists them
      data.seed=0        other rendered scenes, other splits
    """  # noqa: D301 - backslash-b keeps click from rewrapping the lines
    from mlcvbench.analysis.preview import no_pictures, plan_previews, write_preview
    from mlcvbench.files.ahead import counting
    from mlcvbench.processes.status_line import StatusLine, counted

    requests = plan_previews(name, settings)
    with StatusLine() as line, counting(partial(counted(line), "preview")):
        written = [sheet for sheet in map(write_preview, requests) if sheet is not None]
    if not written:
        raise no_pictures(requests)
    for sheet in written:
        emit(f"wrote {sheet.path}: {sheet.shows}")


@data.command("check", cls=Command, short_help="Read every sample and list those that cannot be read.")
@click.argument("name", shell_complete=completers.data_name)
@click.argument(
    "settings", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=completers.data_settings_of(_shared_keys)
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def check(name: str, settings: tuple[str, ...], as_json: bool, quiet: bool) -> None:
    """Read every sample of NAME, a data set or a definition, and list all that cannot be read.

    Exit code 1 when there are any; data.skip=broken leaves them out of a run, with a notice.

    \b
    KEYs:
      task=KIND          one of the kinds that have a data set of that name
      data.NAME=VALUE    settings of the data set, as `mlcvbench info` lists them
      data.seed=0        other rendered scenes, other splits
    """  # noqa: D301 - backslash-b keeps click from rewrapping the lines
    import json

    from mlcvbench.errors import CheckFailedError
    from mlcvbench.loading.broken import share_text
    from mlcvbench.plan.data_requests import plan_data

    requests, _ = plan_data(name, settings)
    checked = [_read_all(request, quiet) for request in requests]
    if as_json:
        emit(json.dumps([_plain(*one) for one in checked], indent=2, ensure_ascii=False))
    failed = []
    for loaded, broken in checked:
        if broken:
            failed.append(f"{share_text(loaded, broken)} of data set {loaded.name!r} cannot be read")
        if not as_json:
            lines = [one.message for one in broken] or [f"{loaded.name}: {_counted(loaded)} can be read."]
            emit("\n".join(lines))
    if failed:
        raise CheckFailedError(f"{'; '.join(failed)}. Leave them out with data.skip=broken.")


def _read_all(request: DataRequest, quiet: bool) -> tuple[LoadedData, list[Broken]]:
    """Return the requested data, and which of their samples cannot be read."""
    from mlcvbench.loading.broken import find_broken
    from mlcvbench.loading.data import load_all
    from mlcvbench.plan.data_requests import guarded
    from mlcvbench.processes.status_line import StatusLine, counted
    from mlcvbench.specs import SKIP

    leniently = {SKIP.name: "broken"} if SKIP in request.spec.params else {}
    params = {**request.params, **leniently}
    loaded = guarded(request, "reading", lambda: load_all(request.spec, params, request.seed))
    with StatusLine(quiet=quiet) as line:
        broken = find_broken(loaded, counted(line))
    return loaded, broken


def _counted(loaded: LoadedData) -> str:
    each = ", ".join(f"{len(split):,} of {name}" for name, split in loaded.splits.items())
    return f"all {sum(map(len, loaded.splits.values())):,} samples ({each})"


def _plain(loaded: LoadedData, broken: list[Broken]) -> dict[str, Any]:
    return {
        "name": loaded.name,
        "kind": loaded.problem.kind,
        "samples": {name: len(split) for name, split in loaded.splits.items()},
        "broken": [{"split": one.split, "id": one.id, "message": one.message} for one in broken],
    }
