"""What all commands of the command line share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

import click

from mlcvbench.processes.stdout import results_apart
from mlcvbench.specs import Param
from mlcvbench.specs.values import text, wanted

Rows = list[tuple[str, str]]
"""Rows of keys as written, with their meaning."""


class Command(click.Command):
    """A command whose standard output holds only what it emits, and nothing that a plugin prints.

    `keys`: returns the rows of its help under `Keys`.
    """

    def __init__(self, *args: Any, keys: Callable[[], Rows] | None = None, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._keys = keys

    def invoke(self, ctx: click.Context) -> Any:
        """Carry the command out."""
        with results_apart():
            return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the meaning of the keys, then the options."""
        if self._keys is not None:
            with formatter.section("Keys"):
                formatter.write_dl(self._keys())
        super().format_options(ctx, formatter)


def run_rows() -> Rows:
    """Return the keys of `mlcvbench run`, from the tables with which requests are parsed."""
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
    """Return the keys of `mlcvbench score`, without the `inactive` ones of a run; each kind has its own for reading."""
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
    """Return the meaning, the accepted values and the default of each key."""
    rows = []
    for param in params:
        accepts = "" if param.type in {"str", "path"} and not param.choices else f": {wanted(param)}"
        default = "" if param.default is None else f"; default {text(param.default)}"
        rows.append((param.name, f"{param.help}{accepts}{default}{'; required' if param.required else ''}"))
    return rows
