"""Pictures of what lies behind the metrics: recall by size, precision and recall by confidence, confusions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mlcvbench.contract import Array, Outcome, Table
from mlcvbench.figures import (
    BLUE,
    DASHED,
    DOTTED,
    INK,
    RED,
    Axis,
    Box,
    Canvas,
    Chart,
    Key,
    Scale,
    bars,
    column_width,
    draw_column,
    draw_matrix,
    short_name,
)
from mlcvbench_detection.analysis.breakdowns import BACKGROUND, LISTED, SIZES, most_confused
from mlcvbench_detection.analysis.confidence import Confidence, Operating, confidence_of, operating
from mlcvbench_detection.analysis.curves import is_coco
from mlcvbench_detection.analysis.mistakes import mistakes
from mlcvbench_detection.coco.summary import RECALLS, count_positives, curves, rank_rows
from mlcvbench_detection.wording import counted

MATRIX_CLASSES = 60
"""With more classes a matrix is unreadable; then the most frequent confusions are drawn."""
SIZE_COLORS = (INK, "#d62728", "#ff7f0e", "#2ca02c")
WIDTH, HEIGHT, MARGIN = 500, 400, 8
"""Pixels of a chart without its keys, and around it."""
Picture = tuple[str, str, tuple[Canvas, str]]


def draw_results(outcome: Outcome) -> Iterator[Picture]:
    """Yield file, title, picture and description of what the results allow, where there are objects to find."""
    table, classes = outcome.table, outcome.problem.classes
    if is_coco(table):
        yield "sizes.png", "Precision and recall by size", draw_sizes(table, len(classes))
    points = operating(table)
    if points.best is None:
        return
    chosen = outcome.once(confidence_of)
    if len(points.score) > 1:
        yield "confidence.png", "Precision, recall and F1 by confidence", draw_confidence(points, chosen)
    matrix = outcome.once(mistakes).confusion(chosen.every)
    if len(classes) <= MATRIX_CLASSES:
        yield "confusion.png", "Objects and what they were taken for", draw_confusion(matrix, classes)
    elif most_confused(matrix, 1):
        yield "confusion.png", "Most frequent confusions", draw_confused(matrix, classes)


def draw_sizes(table: Table, classes: int) -> tuple[Canvas, str]:
    """Draw precision against recall at IoU 0.5 of all objects and of those of each size: means over classes."""
    ranking = rank_rows(table, classes)
    precision, wanted = curves(ranking).precision[:, 0], count_positives(ranking)  # (areas, 101, K), (areas, K)
    lines = [
        (precision[area][:, wanted[area] > 0].mean(axis=1), int(wanted[area].sum()), area)
        for area in range(len(SIZES))
        if wanted[area].any()
    ]
    keys = [
        Key(f"{SIZES[area]}, {counted(count, 'object')}", SIZE_COLORS[area], dash=() if area else DASHED, width=2.2)
        for _, count, area in lines
    ]
    canvas, chart = _chart(keys, Axis(Scale(0, 1), "recall"), "precision (highest at this recall or beyond)")
    for (values, _, _), key in zip(lines, keys, strict=True):
        chart.line(RECALLS, values, key.color, key.width, key.dash)
    said = ", ".join(f"{SIZES[area]} {values.mean():.3f}" for values, _, area in lines)
    return canvas, f"Precision against recall by size at IoU 0.50, means over classes; the areas are {said}."


def draw_confidence(points: Operating, chosen: Confidence) -> tuple[Canvas, str]:
    """Draw precision, recall and F1 of all classes together when detections below a confidence are dropped."""
    highest, lowest = float(points.score[0]), float(points.score[-1])
    best = min(max(chosen.every, lowest), highest)  # one chosen elsewhere may lie beyond the scores here
    place = points.at(best) or 0
    keys = [Key("precision", BLUE, width=2.2), Key("recall", RED, width=2.2), Key("F1", INK, width=2.6)]
    keys.append(Key(f"chosen, from {best:.3g}", INK, dash=DOTTED))
    across = Axis(Scale(lowest, highest), "confidence from which detections count")
    canvas, chart = _chart(keys, across, "share, at IoU 0.5")
    for values, key in zip((points.precision, points.recall, points.f1), keys, strict=False):
        chart.line(*_thinned(points.score, values), key.color, key.width)
    chart.upright(best, INK, 2, DOTTED)
    return canvas, (
        f"Precision, recall and F1 by confidence, all classes together, at IoU 0.50; from {best:.3g} the F1 is "
        f"{points.f1[place]:.3f}, with precision {points.precision[place]:.3f} and recall "
        f"{points.recall[place]:.3f}. {chosen.said}."
    )


def draw_confusion(matrix: Array, classes: Sequence[str]) -> tuple[Canvas, str]:
    """Draw counts (K + 1, K + 1), object by detection, the background last."""
    names = [*classes, BACKGROUND]
    canvas = draw_matrix(matrix, names, beside="object", below="detection", shade="share of the row")
    right, wanted, false = int(np.trace(matrix)), int(matrix[:-1].sum()), int(matrix[-1].sum())
    said = f"{right:,} of {wanted:,} objects were detected as what they are; {false:,} detections are of nothing."
    return canvas, said


def draw_confused(matrix: Array, classes: Sequence[str]) -> tuple[Canvas, str]:
    """Draw the most frequent pairs of object and wrong detection as bars."""
    pairs, short = most_confused(matrix, LISTED), [short_name(name) for name in (*classes, BACKGROUND)]
    names = [f"{short[wanted]} \u2192 {short[got]}" for wanted, got in pairs]
    canvas = bars(np.array([matrix[pair] for pair in pairs]), names, "detections and objects")
    return canvas, f"The {len(names)} most frequent confusions, object to detection; the first is {names[0]}."


def _chart(keys: Sequence[Key], across: Axis, label: str) -> tuple[Canvas, Chart]:
    canvas = Canvas(WIDTH + column_width(keys) + MARGIN, HEIGHT)
    chart = Chart(canvas, Box(MARGIN, MARGIN, WIDTH - MARGIN, HEIGHT - MARGIN), across, Axis(Scale(0, 1.02), label))
    draw_column(canvas, keys, WIDTH, chart.inside.top)
    return canvas, chart


def _thinned(xs: Array, ys: Array) -> tuple[Array, Array]:
    """Return at most a few points a pixel, rising, with the first and the last."""
    step = max(1, len(xs) // (4 * WIDTH))
    places = np.unique(np.append(np.arange(0, len(xs), step), len(xs) - 1))[::-1]
    return xs[places], ys[places]
