"""What every command of the command line has in common."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

import click

from mlcvbench.processes.stdout import results_apart
from mlcvbench.specs import Param
from mlcvbench.specs.values import text, wanted

Rows = list[tuple[str, str]]
"""Keys as they are written, and what each means."""


class Command(click.Command):
    """A command whose standard output holds what it emits, and nothing that a plugin prints.

    `keys`: gives the rows that its help has under `Keys`.
    """

    def __init__(self, *args: Any, keys: Callable[[], Rows] | None = None, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._keys = keys

    def invoke(self, ctx: click.Context) -> Any:
        """Carry the command out."""
        with results_apart():
            return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the keys mean, then the options."""
        if self._keys is not None:
            with formatter.section("Keys"):
                formatter.write_dl(self._keys())
        super().format_options(ctx, formatter)


def run_rows() -> Rows:
    """Return the keys of `mlcvbench run`, from the tables that the request itself is read with."""
    from mlcvbench.plan.search import SEARCH_KEYS
    from mlcvbench.plan.vocabulary import REQUEST_KEYS, RUN_KEYS

    return [
        *param_rows(REQUEST_KEYS.values()),
        ("model.NAME", "a setting of the model, as `mlcvbench info MODEL` lists it; MODEL.NAME: of one of several"),
        ("fit.NAME", "a setting of its fit; MODEL.fit.NAME: of one of several"),
        ("data.NAME", "a setting of the data set, as `mlcvbench info DATASET` lists it"),
        *param_rows(key.param for key in RUN_KEYS.values()),
        *param_rows(SEARCH_KEYS.values()),
    ]


def score_rows(inactive: Collection[str]) -> Rows:
    """Return the keys of `mlcvbench score`, without a run's `inactive` ones; those of reading are a kind's own."""
    from mlcvbench.plan.vocabulary import REQUEST_KEYS, RUN_KEYS

    return [
        *param_rows([REQUEST_KEYS["task"]]),
        ("predictions", "the file or folder to read; required"),
        ("as", "name of the method that made them; required"),
        ("KEY", "how the predictions are read, as `mlcvbench info KIND` lists it, such as value=distance"),
        *param_rows(REQUEST_KEYS[name] for name in ("data", "out")),
        ("data.NAME", "a setting of the data set, as `mlcvbench info DATASET` lists it"),
        *param_rows(key.param for name, key in RUN_KEYS.items() if name not in inactive),
    ]


def param_rows(params: Iterable[Param]) -> Rows:
    """Return what each key means, what it accepts and what it is when it is not given."""
    rows = []
    for param in params:
        accepts = "" if param.type in {"str", "path"} and not param.choices else f": {wanted(param)}"
        default = "" if param.default is None else f"; default {text(param.default)}"
        rows.append((param.name, f"{param.help}{accepts}{default}{'; required' if param.required else ''}"))
    return rows
