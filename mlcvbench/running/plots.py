"""The pictures of a run: those of its task, the history of its fit, its single calls.

One that cannot be drawn costs itself and a notice, never what it would show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlcvbench.contract import Array, Notice, Outcome, Predictions, Problem, Split, Task
from mlcvbench.errors import scrub
from mlcvbench.figures import BLUE, INK, RED, bare, new_figure, plain_style, save
from mlcvbench.measure.timing.summary import percentiles
from mlcvbench.records.schema import PlotInfo
from mlcvbench.records.stages import HEADLINE
from mlcvbench.running import scoring
from mlcvbench.running.record_draft import Draft
from mlcvbench.storage.durable import remove_tree

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOLDER = "plots"
HISTORY_FILE, LATENCY_FILE = "history.png", "latency.png"
PANELS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("loss", lambda name: "loss" in name),
    ("accuracy", lambda name: "accuracy" in name),
    ("learning rate", lambda name: name == "lr"),
)
TRAINING, VALIDATION = BLUE, RED
MARKED = 40
"""Epochs up to which each is marked with a dot."""
FEWEST = 8
"""Calls below which a histogram says nothing."""
BINS = 60
STYLES = {"p50": "-", "p75": "--", "p95": "-.", "p99": ":", "p999": ":"}
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


def of_history(folder: Path, history: Mapping[str, Sequence[float]]) -> tuple[PlotInfo, ...]:
    """Draw what the history has of the three panels into `folder` and describe it; nothing when it has none."""
    chosen = [(title, [name for name in history if wanted(name) and history[name]]) for title, wanted in PANELS]
    panels = [(title, names) for title, names in chosen if names]
    if not panels:
        return ()
    folder.mkdir(exist_ok=True)
    with plain_style():
        figure = new_figure(3.6 * len(panels), 3.0)
        for axes, (title, names) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _draw_panel(axes, title, {name: history[name] for name in names})
        save(figure, folder / HISTORY_FILE)
    ends = ", ".join(f"{name} {history[name][-1]:.4g}" for _, names in panels for name in names)
    epochs = max(len(history[name]) for _, names in panels for name in names)
    return (
        PlotInfo(
            file=HISTORY_FILE, title="History of the fit", alt=f"The fit over {epochs} epochs; it ends with {ends}."
        ),
    )


def _draw_panel(axes: Axes, title: str, columns: Mapping[str, Sequence[float]]) -> None:
    from matplotlib.ticker import MaxNLocator

    for name, values in columns.items():
        color = VALIDATION if name.startswith("val") else TRAINING
        label = "validation" if name.startswith("val") else "training"
        epochs = range(1, len(values) + 1)
        axes.plot(epochs, values, color=color, linewidth=1.5, marker="." if len(values) <= MARKED else "", label=label)
    axes.set_title(title, fontsize=10, color=INK)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.grid(alpha=0.25)
    bare(axes)
    if len(columns) > 1:
        axes.legend(frameon=False, fontsize=8)


def of_latency(folder: Path, samples: Mapping[str, Array]) -> tuple[PlotInfo, ...]:
    """Draw the end-to-end samples, nanoseconds int64 (N,), into `folder`; nothing when there are hardly any."""
    calls = np.asarray(samples.get(HEADLINE, ()), np.float64).ravel() / 1e6
    if len(calls) < FEWEST:
        return ()
    from matplotlib.ticker import NullFormatter

    folder.mkdir(exist_ok=True)
    known = {name: value for name, value in percentiles(calls)[0].items() if value is not None and name in STYLES}
    low, high = float(calls.min()) * 0.95, float(calls.max()) * 1.05
    with plain_style():
        figure = new_figure(6.4, 3.0)
        axes = figure.add_subplot()
        axes.hist(calls, bins=list(np.geomspace(low, high, BINS)), color=BLUE, alpha=0.75)
        for name, value in known.items():
            axes.axvline(value, color=RED, linewidth=1.3, linestyle=STYLES[name], label=f"{name} {value:.3g} ms")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:.3g}")
        axes.xaxis.set_minor_formatter("{x:.3g}" if high / low < 12 else NullFormatter())
        axes.tick_params(axis="x", which="minor", labelsize=7)
        axes.set_title(f"{len(calls):,} calls, end to end, batch 1", fontsize=10, color=INK)
        axes.set_xlabel("milliseconds a call, on a logarithmic scale")
        axes.set_ylabel("calls")
        bare(axes)
        if known:
            axes.legend(frameon=False, fontsize=8, loc="upper right")
        save(figure, folder / LATENCY_FILE)
    said = ", ".join(f"{name} {value:.3g} ms" for name, value in known.items())
    return (
        PlotInfo(
            file=LATENCY_FILE,
            title="Latency",
            alt=f"Histogram of {len(calls):,} calls: {said or 'too few for percentiles'}.",
        ),
    )
