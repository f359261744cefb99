"""Precision-recall curves and results by class, from the rows of any detection protocol."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlcvbench.contract import Array, Table
from mlcvbench_detection.coco.summary import DETECTION, RECALLS, curves, rank_rows, recall_points
from mlcvbench_detection.geometry.interpolation import area_under_curve
from mlcvbench_detection.geometry.matching import IOU_THRESHOLDS, bit
from mlcvbench_detection.voc.scoring import IOU, class_curves


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """Interpolated precision at the 101 `RECALLS` for each IoU threshold and class: float64 (T, 101, K), NaN where a
    class has nothing to find; `average` (K,): the average precision of each class, over all thresholds.
    """

    thresholds: Array
    precision: Array
    average: Array


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The outcomes of detections and annotations at IoU 0.5, all areas, as rows of the table.

    `true`, `false`: detections; `found`, `missed`: annotations. Rows that do not count are in none of them.
    """

    true: Array
    false: Array
    found: Array
    missed: Array


def is_coco(table: Table) -> bool:
    """Return whether the rows hold COCO's masks of settings rather than VOC's single outcome."""
    return "place" in table.columns


def precision_recall(table: Table, classes: int) -> PrecisionRecall:
    """Return the curves of every class: COCO's own, or for VOC the same interpolation at IoU 0.5."""
    if is_coco(table):
        precision = curves(rank_rows(table, classes)).precision[0]
        precision = np.where(precision < 0, np.nan, precision)
        return PrecisionRecall(IOU_THRESHOLDS, precision, precision.mean(axis=(0, 1)))
    precision = np.full((1, len(RECALLS), classes), np.nan)
    average = np.full(classes, np.nan)
    for label, one in enumerate(class_curves(table, classes)):
        if len(one.wanted):
            hits, seen = np.arange(len(one.true)) + 1.0, one.true + 1.0
            bounds = np.array([0, len(hits)])
            precision[0, :, label] = recall_points(hits, seen, np.array([len(one.wanted)]), bounds)[:, 0]
            average[label] = area_under_curve((hits / seen)[None], (hits / len(one.wanted))[None])[0]
    return PrecisionRecall(np.array([IOU]), precision, average)


def outcomes(table: Table) -> Outcomes:
    """Return the rows of each outcome."""
    if is_coco(table):
        match, ignore = bit(table["match"], 0, 0), bit(table["ignore"], 0, 0)
    else:
        match, ignore = table["match"], table["ignore"]
    detection = table["kind"] == DETECTION
    return Outcomes(
        true=np.flatnonzero(detection & match & ~ignore),
        false=np.flatnonzero(detection & ~match & ~ignore),
        found=np.flatnonzero(~detection & match & ~ignore),
        missed=np.flatnonzero(~detection & ~match & ~ignore),
    )
