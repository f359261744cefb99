"""The pictures of a run: those of its task, the history of its fit, its single calls.

A picture that cannot be drawn is left out with a notice; the numbers are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mlcvbench.contract import Array, Notice, Outcome, Task
from mlcvbench.errors import scrub
from mlcvbench.figures import BLUE, DASHDOT, DASHED, DOTTED, RED, Axis, Box, Canvas, Chart, Key, Scale
from mlcvbench.measure.timing.summary import percentiles
from mlcvbench.records.schema import PlotInfo
from mlcvbench.records.stages import HEADLINE
from mlcvbench.running.record_draft import Draft
from mlcvbench.storage.durable import remove_tree

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
"""Least number of calls for a histogram."""
BINS = 60
STYLES = {"p50": (), "p75": DASHED, "p95": DASHDOT, "p99": DOTTED, "p999": DOTTED}
PANEL, HEIGHT, MARGIN = 396, 330, 8
"""Pixels of a panel of the history, and around each."""
WIDE = 704
Drawer = Callable[[Path], tuple[PlotInfo, ...]]


def draw(draft: Draft, folder: Path, *drawers: Drawer) -> tuple[PlotInfo, ...]:
    """Let each drawing function fill the run's folder of pictures and return what was drawn."""
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
    """Remove undescribed files, such as a half-drawn picture, and the folder when it is empty."""
    if not drawn:
        remove_tree(plots)
        return
    for path in plots.iterdir():
        if path.name not in drawn:
            remove_tree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def of_task(task: Task, folder: Path, outcome: Outcome | None) -> tuple[PlotInfo, ...]:
    """Let the task draw into `folder` and describe its pictures; nothing without rows."""
    if outcome is None:
        return ()
    folder.mkdir(exist_ok=True)
    plots = task.plot(folder, outcome)
    return tuple(PlotInfo(file=plot.file, title=plot.title, alt=plot.alt) for plot in plots)


def of_history(folder: Path, history: Mapping[str, Sequence[float | None]]) -> tuple[PlotInfo, ...]:
    """Draw those of the three panels that the history has into `folder` and describe them; nothing without any."""
    columns = {name: np.array(values, dtype=np.float64) for name, values in history.items()}  # a gap is NaN
    known = {name: values for name, values in columns.items() if np.isfinite(values).any()}
    chosen = [(title, [name for name in known if wanted(name)]) for title, wanted in PANELS]
    panels = [(title, names) for title, names in chosen if names]
    if not panels:
        return ()
    folder.mkdir(exist_ok=True)
    canvas = Canvas(PANEL * len(panels), HEIGHT)
    for number, (title, names) in enumerate(panels):
        area = Box(number * PANEL + MARGIN, MARGIN, (number + 1) * PANEL - MARGIN, HEIGHT - MARGIN)
        _draw_panel(canvas, area, title, {name: known[name] for name in names})
    canvas.save(folder / HISTORY_FILE)
    shown = {name: known[name] for _, names in panels for name in names}
    ends = ", ".join(f"{name} {values[np.isfinite(values)][-1]:.4g}" for name, values in shown.items())
    epochs = max(map(len, shown.values()))
    return (
        PlotInfo(
            file=HISTORY_FILE, title="History of the fit", alt=f"The fit over {epochs} epochs; it ends with {ends}."
        ),
    )


def _draw_panel(canvas: Canvas, area: Box, title: str, columns: Mapping[str, Array]) -> None:
    sides = {name: name.startswith("val") for name in columns}
    keys = [Key("validation" if side else "training", VALIDATION if side else TRAINING) for side in sides.values()]
    epochs = max(len(values) for values in columns.values())
    chart = Chart(
        canvas,
        area,
        Axis(Scale.around(np.arange(1, epochs + 1), whole=True), "epoch", grid=True),
        Axis(Scale.around(np.concatenate(list(columns.values()))), grid=True),
        title,
        keys=keys if len(keys) > 1 else (),
    )
    for name, values in columns.items():
        dots = 3.0 if len(values) <= MARKED else 0
        color = VALIDATION if sides[name] else TRAINING
        chart.line(np.arange(1, len(values) + 1), values, color, dots=dots)


def of_latency(folder: Path, samples: Mapping[str, Array]) -> tuple[PlotInfo, ...]:
    """Draw the end-to-end samples, nanoseconds int64 (N,), into `folder`; nothing when there are too few."""
    calls = np.asarray(samples.get(HEADLINE, ()), np.float64).ravel() / 1e6
    if len(calls) < FEWEST:
        return ()
    folder.mkdir(exist_ok=True)
    known = {name: value for name, value in percentiles(calls)[0].items() if value is not None and name in STYLES}
    low, high = float(calls.min()) * 0.95, float(calls.max()) * 1.05
    edges = np.geomspace(low, high, BINS)
    counts = np.histogram(calls, edges)[0]
    canvas = Canvas(WIDE, HEIGHT)
    chart = Chart(
        canvas,
        Box(MARGIN, MARGIN, WIDE - MARGIN, HEIGHT - MARGIN),
        Axis(Scale(low, high, log=True), "milliseconds per call, on a logarithmic scale"),
        Axis(Scale(0, 1.05 * float(counts.max()), whole=True), "calls"),
        f"{len(calls):,} calls, end to end, batch 1",
        keys=[Key(f"{name} {value:.3g} ms", RED, dash=STYLES[name]) for name, value in known.items()],
    )
    chart.steps(edges, counts, BLUE, 0.75)
    for name, value in known.items():
        chart.upright(value, RED, 2, STYLES[name])
    canvas.save(folder / LATENCY_FILE)
    said = ", ".join(f"{name} {value:.3g} ms" for name, value in known.items())
    return (
        PlotInfo(
            file=LATENCY_FILE,
            title="Latency",
            alt=f"Histogram of {len(calls):,} calls: {said or 'too few for percentiles'}.",
        ),
    )
