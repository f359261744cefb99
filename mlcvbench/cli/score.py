"""`mlcvbench score`: a record for predictions made elsewhere, by any framework."""

from __future__ import annotations

import click

from mlcvbench.cli import completers
from mlcvbench.cli.command import Command, score_rows
from mlcvbench.processes.stdout import emit

INACTIVE = (
    *("model", "seed", "device", "threads", "precision", "weights"),
    *("batch", "shards", "time", "timeout", "memory", "fit.memory", "fit.budget"),
)
"""Keys of a run that have no effect when the predictions are given."""


@click.command("score", cls=Command, keys=lambda: score_rows(INACTIVE))
@click.argument("settings", nargs=-1, required=True, metavar="KEY=VALUE...", shell_complete=completers.score(INACTIVE))
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
def score(settings: tuple[str, ...], as_json: bool) -> None:
    """Score predictions made elsewhere and store a record of them.

    Such as task=digits predictions=scores.csv as=my-net.
    """
    from pathlib import Path

    from mlcvbench.errors import DataError, OverrideError
    from mlcvbench.plan.planning import plan
    from mlcvbench.plan.search import SEARCH_KEYS
    from mlcvbench.plan.titles import name_and_title
    from mlcvbench.plan.words import parse_pairs
    from mlcvbench.processes.status_line import StatusLine, counted
    from mlcvbench.records.display import to_text
    from mlcvbench.records.store import Store
    from mlcvbench.running.external import already_stored, score_file

    pairs = dict(parse_pairs(settings, bare="task"))
    path, called = pairs.pop("predictions", None), pairs.pop("as", None)
    for key in pairs:
        if key in INACTIVE or key in SEARCH_KEYS:
            raise OverrideError(f"key {key!r} has no effect on score: the predictions are given.")
    request = plan([f"{key}={value}" for key, value in pairs.items()], outside=called or "predictions", reads=True)
    if not path:
        raise OverrideError("score needs predictions=FILE, the predictions to score.")
    if not called:
        raise OverrideError("score needs as=NAME, the name of the method.")
    name, title = name_and_title(called, "as")
    if not Path(path).exists():
        raise DataError(f"predictions={path}: no such file or folder.")
    store = Store(request.out)
    store.ensure_writable()
    pending = store.begin(name)
    try:
        with StatusLine() as line:
            record = score_file(request.configs[0], name, Path(path), pending.folder, title, counted(line))
        folder = store.commit(pending, record)
    except BaseException:
        store.discard(pending)
        raise
    stored = store.load(folder.name)
    emit(stored.model_dump_json(indent=2) if as_json else f"{to_text(stored)}\n\nrecord: {folder}")
    if stored.nonce != pending.nonce:
        click.echo(already_stored(stored, store), err=True)
