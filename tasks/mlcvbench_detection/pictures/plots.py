"""Pictures of a detection record: precision against recall, average precision by class, best and worst images.

Equal results give equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlcvbench.contract import Array, Outcome, Plot
from mlcvbench.figures import (
    DASHED,
    DOTTED,
    INK,
    Axis,
    Box,
    Canvas,
    Chart,
    Key,
    Scale,
    bars,
    column_width,
    draw_column,
    short_name,
)
from mlcvbench_detection.analysis.curves import PrecisionRecall, precision_recall
from mlcvbench_detection.coco.summary import RECALLS
from mlcvbench_detection.proposal_recall import ProposalRecall, recall_of

LISTED = 20
"""With more than twice as many classes, only this many are listed: the worst ones."""
CLASS_LINES = 12
"""Up to this many classes each has its own line."""
LINE_COLORS = (
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b",
    "#e377c2", "#7f7f7f", "#bcbd22", "#17becf", "#393b79", "#637939",
)  # fmt: skip
WIDTH, HEIGHT, MARGIN = 500, 550, 8
"""Pixels of the chart of curves without its keys, and around it."""


def draw(folder: Path, outcome: Outcome) -> list[Plot]:
    """Write the pictures that the results allow as PNG into `folder` and return what they are."""
    from mlcvbench_detection.pictures.overlays import draw_overlays
    from mlcvbench_detection.pictures.results import draw_results

    folder.mkdir(parents=True, exist_ok=True)
    drawn: list[Plot] = []
    found = precision_recall(outcome.table, len(outcome.problem.classes))
    if not np.isnan(found.average).all():
        for file, title, (canvas, alt) in (
            ("precision_recall.png", "Precision and recall", draw_curves(found, outcome.problem.classes)),
            ("classes.png", "Average precision of each class", draw_classes(found, outcome.problem.classes)),
            *draw_results(outcome),
        ):
            canvas.save(folder / file)
            drawn.append(Plot(file, title, alt))
    recall = recall_of(outcome.predictions, outcome.targets)
    if recall is not None and not np.isnan(recall.at_half).any():
        canvas, alt = draw_recall(recall)
        canvas.save(folder / "proposals.png")
        drawn.append(Plot("proposals.png", "Recall of the proposals", alt))
    drawn += draw_overlays(folder, outcome)
    return drawn


def draw_curves(found: PrecisionRecall, classes: Sequence[str]) -> tuple[Canvas, str]:
    """Draw interpolated precision against recall: the mean over classes, and each class when they are few."""
    present = np.flatnonzero(~np.isnan(found.average))
    mean = found.precision[:, :, present].mean(axis=2)  # (T, 101)
    lines: list[tuple[Array, Key]] = []
    if len(present) <= CLASS_LINES and len(present) > 1:
        for place, number in enumerate(present.tolist()):
            key = Key(short_name(classes[number]), LINE_COLORS[place], width=1.3, alpha=0.7)
            lines.append((found.precision[0, :, number], key))
    shown = [0, 5, len(mean) - 1] if len(mean) > 5 else [0]
    for place, (row, dash) in enumerate(zip(shown, ((), DASHED, DOTTED), strict=False)):
        label = f"IoU {found.thresholds[row]:.2f}"
        if place == 0 and len(present) > 1:
            label += f", mean of {len(present)} classes"
        lines.append((mean[row], Key(label, INK, dash=dash, width=2.6)))
    keys = [key for _, key in lines]
    canvas = Canvas(WIDTH + column_width(keys) + MARGIN, HEIGHT)
    area = Box(MARGIN, MARGIN, WIDTH - MARGIN, HEIGHT - MARGIN)
    precision = Axis(Scale(0, 1.02), "precision (highest at this recall or beyond)")
    chart = Chart(canvas, area, Axis(Scale(0, 1), "recall"), precision)
    for values, key in lines:
        chart.line(RECALLS, values, key.color, key.width, key.dash, key.alpha)
    draw_column(canvas, keys, WIDTH, chart.inside.top)
    at_half = float(mean[0].mean())
    what = f"the mean of {len(present)} classes" if len(present) > 1 else "one class"
    return canvas, f"Precision against recall for {what}; the area is {at_half:.3f} at IoU {found.thresholds[0]:.2f}."


def draw_classes(found: PrecisionRecall, classes: Sequence[str]) -> tuple[Canvas, str]:
    """Draw the average precision of each class as bars; of many classes, the worst."""
    order = np.flatnonzero(~np.isnan(found.average))
    what = ""
    if len(order) > 2 * LISTED:
        worst = order[np.argsort(found.average[order], kind="stable")]
        order, what = worst[:LISTED], f" ({LISTED} worst of {len(order)} classes)"
    values = found.average[order]
    span = f"{found.thresholds[0]:.2f}" + (f" to {found.thresholds[-1]:.2f}" if len(found.thresholds) > 1 else "")
    names = [short_name(classes[label]) for label in order.tolist()]
    canvas = bars(values, names, f"average precision, IoU {span}{what}", most=1.0)
    lowest = int(order[np.argmin(values)])
    return canvas, f"Average precision of each class; the lowest is {values.min():.3f} for {classes[lowest]}."


def draw_recall(found: ProposalRecall) -> tuple[Canvas, str]:
    """Draw recall against the number of proposals; the text has the numbers."""
    keys = [Key("IoU 0.50", INK, width=2.6), Key("mean of IoU 0.50 to 0.95", INK, dash=DASHED, width=2.6)]
    canvas = Canvas(WIDTH + column_width(keys) + MARGIN, HEIGHT)
    area = Box(MARGIN, MARGIN, WIDTH - MARGIN, HEIGHT - MARGIN)
    counts = np.array(found.counts, dtype=np.float64)
    ticks = [(float(count), str(count)) for count in found.counts]
    across = Axis(Scale(counts[0], counts[-1], log=True), "proposals of an image", ticks)
    chart = Chart(canvas, area, across, Axis(Scale(0, 1.02), "recall of objects of any class"))
    for values, key in zip((found.at_half, found.average), keys, strict=True):
        chart.line(counts, values, key.color, key.width, key.dash, key.alpha)
    draw_column(canvas, keys, WIDTH, chart.inside.top)
    numbers = ", ".join(
        f"{half:.3f} and {mean:.3f} with {count}"
        for count, half, mean in zip(found.counts, found.at_half, found.average, strict=True)
    )
    return canvas, (
        f"Recall at IoU 0.50 and its mean for IoU 0.50 to 0.95 by the number of proposals: {numbers}. "
        f"An image has {found.proposals:.0f} in the mean."
    )
