"""Pictures of a classification record: confusions, confident errors, calibration, and F1 of each class.

Equal results give equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mlcvbench.contract import Array, Plot, Problem, Split, Table
from mlcvbench.figures import (
    BLUE,
    DOTTED,
    INK,
    PALE,
    SMALL,
    TINY,
    Axis,
    Box,
    Canvas,
    Chart,
    Key,
    Scale,
    Tile,
    bars,
    colored,
    draw_matrix,
    draw_tiles,
    fitted,
    short_name,
    text_width,
    widest,
)
from mlcvbench_classification.scoring import ECE_BINS, class_f1, confidence_bins, confusion_matrix

MATRIX_CLASSES = 60
"""With more classes a matrix is unreadable; then the most frequent confusions are listed."""
LISTED = 20
MISTAKES = 24
MISTAKES_A_ROW = 8
TILE, MARGIN = 136, 10
"""Pixels of a misclassified image, and around a picture."""


def draw(folder: Path, split: Split, problem: Problem, table: Table) -> list[Plot]:
    """Write the pictures that the results allow as PNG into `folder` and return what they are."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn: list[Plot] = []
    for file, title, make in _pictures(split, problem.classes, table):
        canvas, alt = make()
        canvas.save(folder / file)
        drawn.append(Plot(file, title, alt))
    return drawn


Maker = Callable[[], tuple[Canvas, str]]


def _pictures(split: Split, classes: Sequence[str], table: Table) -> list[tuple[str, str, Maker]]:
    """Return file, title and drawing function of each picture that makes sense for these rows."""
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


def draw_confusion(matrix: Array, classes: Sequence[str]) -> tuple[Canvas, str]:
    """Draw counts (C, C), label by prediction, shaded by the share of the label's samples."""
    canvas = draw_matrix(matrix, classes, beside="label", below="prediction", shade="share of the label's samples")
    right = int(np.trace(matrix))
    said = f"Confusion matrix of {len(classes)} classes: {right} of {int(matrix.sum())} samples on the diagonal."
    return canvas, said


def draw_confused_pairs(matrix: Array, classes: Sequence[str]) -> tuple[Canvas, str]:
    """Draw the most frequent pairs of label and wrong prediction as bars."""
    mistakes = matrix * (1 - np.eye(len(matrix), dtype=matrix.dtype))
    order: Array = np.argsort(-mistakes, axis=None, kind="stable")[:LISTED]
    order = order[mistakes.ravel()[order] > 0]
    pairs = [divmod(place, len(classes)) for place in map(int, order)]
    names = [f"{short_name(classes[label])} \u2192 {short_name(classes[got])}" for label, got in pairs]
    canvas = bars(mistakes.ravel()[order], names, "samples")
    return canvas, f"The {len(order)} most frequent confusions, label to prediction; the first is {names[0]}."


def draw_class_f1(matrix: Array, classes: Sequence[str]) -> tuple[Canvas, str]:
    """Draw the F1 of each class as bars; for many classes, the worst ones."""
    f1 = class_f1(np.diag(matrix), matrix.sum(axis=0) + matrix.sum(axis=1))  # (C,), NaN = does not occur
    order = np.flatnonzero(~np.isnan(f1))
    what = "classes in order"
    if len(order) > 2 * LISTED:
        order, what = order[np.argsort(f1[order], kind="stable")[:LISTED]], f"{LISTED} worst of {len(order)} classes"
    canvas = bars(f1[order], [short_name(classes[i]) for i in order.tolist()], f"F1 ({what})", most=1.0)
    worst = int(order[np.argmin(f1[order])])
    return canvas, f"F1 of each class; the lowest is {f1[worst]:.3f} for {classes[worst]}."


def draw_mistakes(split: Split, classes: Sequence[str], table: Table) -> tuple[Canvas, str]:
    """Draw the misclassified images of highest confidence (in order of the split without confidences)."""
    wrong = np.flatnonzero(table["label"] != table["prediction"])
    known = not np.isnan(table["confidence"]).any()
    chosen = wrong[np.argsort(-table["confidence"][wrong], kind="stable")] if known else wrong
    chosen = chosen[:MISTAKES]
    images = split.read(table["unit"][chosen])[0].inputs["image"]
    tiles = []
    for row, image in zip(chosen.tolist(), images, strict=True):
        label, got = classes[table["label"][row]], classes[table["prediction"][row]]
        sure = [f"{table['confidence'][row]:.0%}"] if known else []
        tiles.append(Tile(fitted(colored(np.asarray(image)), TILE, TILE), [f"is {label}", f"read as {got}", *sure]))
    rows = [tiles[first : first + MISTAKES_A_ROW] for first in range(0, len(tiles), MISTAKES_A_ROW)]
    canvas = draw_tiles(rows, side=TILE, size=TINY)
    return canvas, f"{len(chosen)} of {len(wrong)} misclassified images, with label, prediction and confidence."


def draw_reliability(table: Table) -> tuple[Canvas, str]:
    """Draw the share of correct predictions against the mean confidence in each of 15 bins, and the bin counts."""
    confidence, right = table["confidence"], table["label"] == table["prediction"]
    bins = np.minimum(confidence_bins(confidence), ECE_BINS - 1)  # shown with the last bin: exactly 1
    counts = np.bincount(bins, minlength=ECE_BINS)
    some = counts > 0
    accuracy = np.bincount(bins, right, ECE_BINS)[some] / counts[some]
    mean = np.bincount(bins, confidence, ECE_BINS)[some] / counts[some]
    canvas = Canvas(572, 616)
    samples = Axis(Scale(0, max(1.0, 1.05 * counts.max()), whole=True), "samples")
    gutter = max(widest([text for _, text in samples.scale.ticks(4)], SMALL), text_width("0.0", SMALL))
    above = Chart(
        canvas,
        Box(MARGIN, MARGIN, 572 - MARGIN, 446),
        Axis(Scale(0, 1)),
        Axis(Scale(0, 1.02), "share right"),
        keys=(Key("perfectly calibrated", INK, dash=DOTTED, width=1.5), Key("this model", BLUE, "dotted line")),
        gutter=gutter,
    )
    above.line(np.array([0, 1]), np.array([0, 1]), INK, 1.5, DOTTED)
    above.line(mean, accuracy, BLUE, dots=3.5)
    area = Box(MARGIN, 450, 572 - MARGIN, 616 - MARGIN)
    below = Chart(canvas, area, Axis(Scale(0, 1), "confidence of the prediction"), samples, gutter=gutter)
    below.steps(np.linspace(0, 1, ECE_BINS + 1), counts, PALE, apart=1)
    gap = float(np.mean(confidence) - np.mean(right))
    word = "over-confident" if gap > 0 else "under-confident"
    return canvas, f"Accuracy against confidence in 15 bins; on average {abs(gap):.3f} {word}."
