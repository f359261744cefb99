"""`mlcvbench study`: how the errors of a method depend on a setting, and on its training data."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlcvbench.cli import completers
from mlcvbench.cli.command import Command
from mlcvbench.processes.status_line import StatusLine, span_text
from mlcvbench.processes.stdout import emit

if TYPE_CHECKING:
    from mlcvbench.analysis.studies.planning import Kind


@click.group("study")
def study() -> None:
    """Study a method without its test split: capacity curves, bias and variance (PNG and CSV)."""


@study.command("capacity", cls=Command, short_help="Draw training and validation error against one setting.")
@click.argument(
    "settings", nargs=-1, required=True, metavar="KEY=VALUE...", shell_complete=completers.study("capacity")
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
def capacity(settings: tuple[str, ...], quiet: bool) -> None:
    """Draw training and validation error of one model against one setting.

    The setting is the one with several values: task=digits model=knn model.k=1,3,5,9,15,25.
    A large training error is underfitting; a large gap between the two is overfitting.

    \b
    KEYs are those of `mlcvbench run` (task data model seed device threads
    batch, model.*, fit.*, data.*), and
      axis=auto     linear, log, inverse (against 1/value) or names
      share=0.2     part of train to validate on where there is no such split
      timeout=S     seconds a fit may take
      out=FILE      the PNG to write; the CSV is written beside it

    Several seeds are drawn as a band. The test split is not used. Fits run in their own process.
    """  # noqa: D301 - backslash-b keeps click from rewrapping the lines
    _carry_out("capacity", settings, quiet)


@study.command("bias-variance", cls=Command, short_help="Fit repeatedly on resampled training data.")
@click.argument(
    "settings", nargs=-1, required=True, metavar="KEY=VALUE...", shell_complete=completers.study("bias-variance")
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
def bias_variance(settings: tuple[str, ...], quiet: bool) -> None:
    """Fit repeatedly on resampled training data, and decompose the error.

    Bias shows in the training error, variance in the gap to the validation error and in its spread over the fits.
    Models and settings may have several values, each combination is a row: model=knn,mlp knn.k=1,25.

    \b
    KEYs are those of `mlcvbench run` (task data model seed device threads
    batch, model.*, fit.*, data.*), and
      repeats=10    fits of each combination
      by=bootstrap  what changes: training samples drawn with replacement;
                    by=seed: the seed alone
      share=0.2     part of train to validate on where there is no such split
      timeout=S     seconds a fit may take
      out=FILE      the PNG to write; the CSV is written beside it

    The test split is not used. Fits run in their own process.
    """  # noqa: D301 - backslash-b keeps click from rewrapping the lines
    _carry_out("bias-variance", settings, quiet)


def _carry_out(kind: Kind, settings: tuple[str, ...], quiet: bool) -> None:
    from mlcvbench.analysis.studies.drawing import draw
    from mlcvbench.analysis.studies.planning import plan_study
    from mlcvbench.analysis.studies.running import measure
    from mlcvbench.analysis.studies.summary import to_csv, to_text

    asked = plan_study(kind, settings)
    with StatusLine(quiet=quiet) as line:
        measured = measure(asked, _shown_on(line))
    _write(asked.out, draw(asked, measured))
    _write(asked.out.with_suffix(".csv"), to_csv(asked, measured).encode())
    emit(to_text(asked, measured))
    emit(f"\nwrote {asked.out} and {asked.out.with_suffix('.csv')}")


def _shown_on(line: StatusLine) -> Callable[[int, int, str], None]:
    """Return the progress callback of a study: current fit, its stage, elapsed and remaining time."""
    began = time.monotonic()

    def report(done: int, total: int, stage: str) -> None:
        def text(_: int) -> str:
            elapsed = time.monotonic() - began
            left = f", about {span_text(elapsed / done * (total - done))} left" if done else ""
            return f"fit {min(done + 1, total)} of {total} {stage}, {span_text(elapsed)}{left}"

        line.show(text)

    return report


def _write(path: Path, data: bytes) -> None:
    """Write a file atomically; StoreError says why not."""
    from mlcvbench.errors import StoreError

    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise StoreError(f"out={path}: cannot be written ({error.strerror or error}).") from None
