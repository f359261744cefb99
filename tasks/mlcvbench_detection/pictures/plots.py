"""Pictures of a detection record: precision against recall, average precision by class, best and worst images.

Equal results give equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlcvbench.contract import Outcome, Plot
from mlcvbench.figures import INK, bare, bars, new_figure, plain_style, save, short_name
from mlcvbench_detection.coco.summary import RECALLS
from mlcvbench_detection.pictures.curves import PrecisionRecall, precision_recall

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LISTED = 20
"""Of more than twice as many classes only this many are listed: the worst."""
CLASS_LINES = 12
"""Up to this many classes each has a line of its own."""


def draw(folder: Path, outcome: Outcome) -> list[Plot]:
    """Write the pictures that the results allow as PNG into `folder` and return what they are."""
    from mlcvbench_detection.pictures.overlays import draw_overlays

    folder.mkdir(parents=True, exist_ok=True)
    drawn: list[Plot] = []
    found = precision_recall(outcome.table, len(outcome.problem.classes))
    with plain_style():
        if not np.isnan(found.average).all():
            for file, title, (figure, alt) in (
                ("precision_recall.png", "Precision and recall", draw_curves(found, outcome.problem.classes)),
                ("classes.png", "Average precision of each class", draw_classes(found, outcome.problem.classes)),
            ):
                save(figure, folder / file)
                drawn.append(Plot(file, title, alt))
        drawn += draw_overlays(folder, outcome)
    return drawn


def draw_curves(found: PrecisionRecall, classes: Sequence[str]) -> tuple[Figure, str]:
    """Draw interpolated precision against recall: the mean over classes, and each class when they are few."""
    figure = new_figure(6.4, 5.0)
    axes = figure.subplots()
    present = np.flatnonzero(~np.isnan(found.average))
    if len(present) <= CLASS_LINES and len(present) > 1:
        for number in present.tolist():
            name = short_name(classes[number])
            axes.plot(RECALLS, found.precision[0, :, number], linewidth=0.9, alpha=0.6, label=name)
    mean = found.precision[:, :, present].mean(axis=2)  # (T, 101)
    shown = [0, 5, len(mean) - 1] if len(mean) > 5 else [0]
    for place, (row, style) in enumerate(zip(shown, ("-", "--", ":"), strict=False)):
        label = f"IoU {found.thresholds[row]:.2f}"
        if place == 0 and len(present) > 1:
            label += f", mean of {len(present)} classes"
        axes.plot(RECALLS, mean[row], color=INK, linestyle=style, linewidth=2.0, label=label)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision (highest at this recall or beyond)")
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    bare(axes)
    at_half = float(mean[0].mean())
    what = f"the mean of {len(present)} classes" if len(present) > 1 else "one class"
    return figure, f"Precision against recall for {what}; the area is {at_half:.3f} at IoU {found.thresholds[0]:.2f}."


def draw_classes(found: PrecisionRecall, classes: Sequence[str]) -> tuple[Figure, str]:
    """Draw the average precision of each class as bars; of many classes, the worst."""
    order = np.flatnonzero(~np.isnan(found.average))
    what = ""
    if len(order) > 2 * LISTED:
        worst = order[np.argsort(found.average[order], kind="stable")]
        order, what = worst[:LISTED], f" ({LISTED} worst of {len(order)} classes)"
    values = found.average[order]
    span = f"{found.thresholds[0]:.2f}" + (f" to {found.thresholds[-1]:.2f}" if len(found.thresholds) > 1 else "")
    names = [short_name(classes[label]) for label in order.tolist()]
    figure = bars(values, names, f"average precision, IoU {span}{what}", most=1.0)
    lowest = int(order[np.argmin(values)])
    return figure, f"Average precision of each class; the lowest is {values.min():.3f} for {classes[lowest]}."
