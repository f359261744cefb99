"""Detections that overlap objects of other classes: class ids off by one, or from another list."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlcvbench.contract import Array, Notice, Predictions, Targets
from mlcvbench_detection.geometry.boxes import pairwise_iou
from mlcvbench_detection.geometry.ragged import expand, ragged

LOOKED_AT = 2000
"""Number of highest-scoring detections whose classes are compared with those of the objects they overlap."""
OVERLAP = 0.5
FEWEST, MOSTLY, HARDLY = 6, 0.8, 0.1
"""Least number that overlap an object; the fraction that makes a rule; the fraction below which classes disagree."""


def class_notices(predictions: Predictions, targets: Targets) -> list[Notice]:
    """Return a notice when the classes of the best detections are not those of the objects that they overlap."""
    if "xywh" not in predictions:
        return []
    found, true = _overlapping(predictions, targets)
    if len(found) < FEWEST:
        return []
    shift, best = found - true, f"of the {len(found):,} best detections that overlap an object"
    for step, word in ((1, "after"), (-1, "before")):
        count = int((shift == step).sum())
        if count >= MOSTLY * len(shift):
            text = f"{count:,} {best} have the class {word} its own: are class ids off by one?"
            return [Notice("classes-off-by-one", text, count)]
    same = int((shift == 0).sum())
    if same <= HARDLY * len(shift) and len(np.unique(true)) > 2:
        text = f"{same:,} {best} have its class: are class ids those of the annotations?"
        return [Notice("classes-disagree", text, len(shift) - same)]
    return []


def _overlapping(predictions: Predictions, targets: Targets) -> tuple[Array, Array]:
    """Return the classes of the best detections that overlap an object, and those of the objects: int64 (n,) each.

    Among several objects one of the same class is taken, else the one with the largest overlap.
    """
    scores, annotated = ragged(predictions, "scores"), ragged(targets, "xywh")
    total = len(scores.values)
    best = np.arange(total) if total <= LOOKED_AT else np.argpartition(-scores.values, LOOKED_AT)[:LOOKED_AT]
    unit = np.searchsorted(scores.starts, best, side="right") - 1
    counts = annotated.counts[unit]
    best, unit, counts = best[counts > 0], unit[counts > 0], counts[counts > 0]
    if not len(best):
        return best, best
    boxes: Any = predictions["xywh"].values
    objects = expand(annotated.starts[:-1][unit], counts)
    own, true = np.repeat(predictions["labels"].values[best], counts), ragged(targets, "labels").values[objects]
    iou = pairwise_iou(boxes, annotated.values, np.zeros(len(annotated.values), bool))(np.repeat(best, counts), objects)
    merit = iou + (iou >= OVERLAP) * (own == true)
    starts = np.cumsum(counts) - counts
    highest = np.maximum.reduceat(merit, starts)
    at = np.flatnonzero(merit == np.repeat(highest, counts))
    chosen = at[np.searchsorted(at, starts)]
    chosen = chosen[iou[chosen] >= OVERLAP]
    return own[chosen], true[chosen]
