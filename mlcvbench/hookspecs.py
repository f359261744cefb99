"""Every hook a plugin can implement. These docstrings are the plugin manual's reference (docs/plugins.md).

A plugin is an installed package with an entry point in the group `mlcvbench`:

    [project.entry-points.mlcvbench]
    my_plugin = "my_plugin"

and functions in that module marked with `@mlcvbench.hookimpl`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from mlcvbench.specs import DatasetSpec, ModelSpec, TaskSpec

PROJECT = "mlcvbench"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def mlcvbench_tasks() -> list[TaskSpec]:  # type: ignore[empty-body]
    """Return the task kinds this plugin defines. Called once, when names are first looked up."""


@hookspec
def mlcvbench_datasets() -> list[DatasetSpec]:  # type: ignore[empty-body]
    """Return the data sets this plugin can read. Called once, when names are first looked up."""


@hookspec
def mlcvbench_models() -> list[ModelSpec]:  # type: ignore[empty-body]
    """Return the methods this plugin adds. Called once, when names are first looked up."""


@hookspec
def mlcvbench_run_started(run: dict[str, Any]) -> None:
    """Observe that a run starts. `run` is the resolved configuration as plain data. Its result is ignored."""


@hookspec
def mlcvbench_progress(
    run: dict[str, Any], stage: str, done: int, total: int, numbers: dict[str, float | None]
) -> None:
    """Observe progress: `done` of `total` steps of `stage` (fit, predict, score, ...). Its result is ignored.

    `numbers`: what the fit reports after an epoch, with the number of the `epoch`; empty otherwise.
    """


@hookspec
def mlcvbench_run_finished(record: dict[str, Any]) -> None:
    """Observe that a run ended, well or not. `record` is the stored record as plain data. Its result is ignored."""
