"""Pictures of a classification record: confusions, confident mistakes, calibration, and F1 of each class.

Equal results give equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlcvbench.contract import Array, Plot, Problem, Split, Table
from mlcvbench.figures import BLUE, INK, PALE, bare, bars, new_figure, plain_style, save, short_name
from mlcvbench_classification.scoring import ECE_BINS, class_f1, confidence_bins, confusion_matrix

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MATRIX_CLASSES = 60
"""More classes than this make an unreadable matrix; then the most frequent confusions are listed."""
NUMBERED_CLASSES = 20
LISTED = 20
MISTAKES = 24
MISTAKES_A_ROW = 8


def draw(folder: Path, split: Split, problem: Problem, table: Table) -> list[Plot]:
    """Write the pictures that the results allow as PNG into `folder` and return what they are."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn: list[Plot] = []
    with plain_style():
        for file, title, make in _pictures(split, problem.classes, table):
            figure, alt = make()
            save(figure, folder / file)
            drawn.append(Plot(file, title, alt))
    return drawn


Maker = Callable[[], "tuple[Figure, str]"]


def _pictures(split: Split, classes: Sequence[str], table: Table) -> list[tuple[str, str, Maker]]:
    """Return file, title and maker of each picture that makes sense for these rows."""
    if not len(table):
        return []
    matrix = confusion_matrix(table, len(classes))
    wrong = int((table["label"] != table["prediction"]).sum())
    pictures: list[tuple[str, str, Maker]] = []
    if len(classes) <= MATRIX_CLASSES:
        pictures.append(("confusion.png", "Confusion matrix", lambda: draw_confusion(matrix, classes)))
    elif wrong:
        pictures.append(("confusion.png", "Most frequent confusions", lambda: draw_confused_pairs(matrix, classes)))
    pictures.append(("classes.png", "F1 of each class", lambda: draw_class_f1(matrix, classes)))
    if wrong:
        pictures.append(("mistakes.png", "Most confident mistakes", lambda: draw_mistakes(split, classes, table)))
    if not np.isnan(table["confidence"]).any():
        pictures.append(("reliability.png", "Reliability", lambda: draw_reliability(table)))
    return pictures


def draw_confusion(matrix: Array, classes: Sequence[str]) -> tuple[Figure, str]:
    """Draw counts (C, C), label by prediction, shaded by the share of the label's samples."""
    count = len(classes)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = min(10.0, max(4.2, 2.2 + 0.42 * count))
    figure = new_figure(side + 0.8, side, layout="compressed")  # "constrained" cuts the label off a square matrix
    axes = figure.subplots()
    shades = axes.imshow(share, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    if count <= NUMBERED_CLASSES:
        for row, column in np.argwhere(matrix > 0):
            color = "white" if share[row, column] > 0.5 else INK
            axes.text(column, row, f"{matrix[row, column]}", ha="center", va="center", fontsize=7, color=color)
    font = 8 if count <= NUMBERED_CLASSES else 5
    names = [short_name(name) for name in classes]
    upright = max(map(len, names)) <= 2
    axes.set_xticks(range(count), names, rotation=0 if upright else 90, fontsize=font)
    axes.set_yticks(range(count), names, fontsize=font)
    axes.set_xlabel("prediction")
    axes.set_ylabel("label")
    axes.tick_params(length=0)
    bar = figure.colorbar(shades, ax=axes, fraction=0.045, pad=0.03)
    bar.set_label("share of the label's samples")
    right = int(np.trace(matrix))
    return figure, f"Confusion matrix of {count} classes: {right} of {int(matrix.sum())} samples on the diagonal."


def draw_confused_pairs(matrix: Array, classes: Sequence[str]) -> tuple[Figure, str]:
    """Draw the most frequent pairs of label and wrong prediction as bars."""
    mistakes = matrix * (1 - np.eye(len(matrix), dtype=matrix.dtype))
    order: Array = np.argsort(-mistakes, axis=None, kind="stable")[:LISTED]
    order = order[mistakes.ravel()[order] > 0]
    pairs = [divmod(place, len(classes)) for place in map(int, order)]
    names = [f"{short_name(classes[label])} \u2192 {short_name(classes[got])}" for label, got in pairs]
    figure = bars(mistakes.ravel()[order], names, "samples")
    return figure, f"The {len(order)} most frequent confusions, label to prediction; the first is {names[0]}."


def draw_class_f1(matrix: Array, classes: Sequence[str]) -> tuple[Figure, str]:
    """Draw the F1 of each class as bars; of many classes, the worst."""
    f1 = class_f1(np.diag(matrix), matrix.sum(axis=0) + matrix.sum(axis=1))  # (C,), NaN = does not occur
    order = np.flatnonzero(~np.isnan(f1))
    what = "classes in order"
    if len(order) > 2 * LISTED:
        order, what = order[np.argsort(f1[order], kind="stable")[:LISTED]], f"{LISTED} worst of {len(order)} classes"
    figure = bars(f1[order], [short_name(classes[i]) for i in order.tolist()], f"F1 ({what})", most=1.0)
    worst = int(order[np.argmin(f1[order])])
    return figure, f"F1 of each class; the lowest is {f1[worst]:.3f} for {classes[worst]}."


def draw_mistakes(split: Split, classes: Sequence[str], table: Table) -> tuple[Figure, str]:
    """Draw the wrongly classified images of highest confidence (in order of the split when there is none)."""
    wrong = np.flatnonzero(table["label"] != table["prediction"])
    known = not np.isnan(table["confidence"]).any()
    chosen = wrong[np.argsort(-table["confidence"][wrong], kind="stable")] if known else wrong
    chosen = chosen[:MISTAKES]
    images = split.read(table["unit"][chosen])[0].inputs["image"]
    rows = -(-len(chosen) // MISTAKES_A_ROW)
    figure = new_figure(11, 2.0 * rows)
    for place, (row, image) in enumerate(zip(chosen, images, strict=True)):
        axes = figure.add_subplot(rows, MISTAKES_A_ROW, place + 1)
        axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_axis_off()
        sure = f"\n{table['confidence'][row]:.0%}" if known else ""
        label, got = classes[table["label"][row]], classes[table["prediction"][row]]
        axes.set_title(f"is {short_name(label)}\nread as {short_name(got)}{sure}", fontsize=7, color=INK)
    return figure, f"{len(chosen)} of {len(wrong)} wrongly classified images, with label, prediction and confidence."


def draw_reliability(table: Table) -> tuple[Figure, str]:
    """Draw the share of right predictions against the mean confidence in each of 15 bins, and how many there are."""
    confidence, right = table["confidence"], table["label"] == table["prediction"]
    bins = np.minimum(confidence_bins(confidence), ECE_BINS - 1)  # shown with the last bin: exactly 1
    counts = np.bincount(bins, minlength=ECE_BINS)
    some = counts > 0
    accuracy = np.bincount(bins, right, ECE_BINS)[some] / counts[some]
    mean = np.bincount(bins, confidence, ECE_BINS)[some] / counts[some]
    figure = new_figure(5.2, 5.6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], color=INK, linestyle=":", linewidth=1, label="perfectly calibrated")
    above.plot(mean, accuracy, color=BLUE, marker="o", markersize=4, linewidth=1.2, label="this model")
    above.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share right")
    above.legend(frameon=False, fontsize=8, loc="upper left")
    edges = np.linspace(0, 1, ECE_BINS + 1)
    below.bar(edges[:-1], counts, width=1 / ECE_BINS, align="edge", color=PALE, edgecolor="white")
    below.set(ylabel="samples", xlabel="confidence of the prediction")
    bare(above)
    bare(below)
    gap = float(np.mean(confidence) - np.mean(right))
    word = "over-confident" if gap > 0 else "under-confident"
    return figure, f"Accuracy against confidence in 15 bins; on average {abs(gap):.3f} {word}."
