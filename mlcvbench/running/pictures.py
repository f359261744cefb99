"""Draw the pictures of a run. One that cannot be drawn costs itself and a notice, never what it would show."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from mlcvbench.contract import Notice, Outcome, Predictions, Problem, Split, Task
from mlcvbench.errors import scrub
from mlcvbench.records.schema import PlotInfo
from mlcvbench.running import scoring
from mlcvbench.running.record_draft import Draft
from mlcvbench.storage.durable import remove_tree

FOLDER = "plots"
Drawer = Callable[[Path], tuple[PlotInfo, ...]]


def draw(draft: Draft, folder: Path, *drawers: Drawer) -> tuple[PlotInfo, ...]:
    """Let each drawer fill the run's folder of pictures and return what was drawn."""
    plots, failed = folder / FOLDER, dict[str, None]()
    drawn: tuple[PlotInfo, ...] = ()

    def without(why: str) -> tuple[PlotInfo, ...]:
        failed[why] = None
        return ()

    with draft.stage("plots"):
        for drawer in drawers:
            drawn += draft.attempt(partial(drawer, plots), without)
        _tidy(plots, {plot.file.rpartition("/")[2] for plot in drawn})
        if failed:
            said = scrub("; ".join(failed))
            draft.remark(Notice("pictures-not-drawn", f"Pictures could not be drawn ({said}); scores and costs stand."))
    return drawn


def _tidy(plots: Path, drawn: set[str]) -> None:
    """Remove what nobody described: a picture half drawn, or the folder when it has none."""
    if not drawn:
        remove_tree(plots)
        return
    for path in plots.iterdir():
        if path.name not in drawn:
            remove_tree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def of_task(
    task: Task, folder: Path, predictions: Predictions, scored: scoring.Scored, split: Split, problem: Problem
) -> tuple[PlotInfo, ...]:
    """Let the task draw into `folder` and describe what it drew; nothing when no rows were made."""
    if scored.table is None:
        return ()
    folder.mkdir(exist_ok=True)
    protocol = scored.scorer.protocol_id
    plots = task.plot(folder, Outcome(predictions, scored.targets, split, problem, protocol, scored.table))
    return tuple(PlotInfo(file=plot.file, title=plot.title, alt=plot.alt) for plot in plots)
