"""The scorers of PASCAL VOC: mean average precision at IoU 0.5, at 11 recalls or as the area under the curve.

Source: Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2010; VOCdevkit, `VOCevaldet.m` and
`VOCap.m` (area, from 2010 on); the 11 recalls of 2007.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from mlcvbench.contract import Array, MetricSpec, Predictions, Problem, Scorer, Table, Targets, VectorizedScorer
from mlcvbench_detection.coco.scoring import detected_boxes
from mlcvbench_detection.coco.summary import ANNOTATION, DETECTION
from mlcvbench_detection.geometry.boxes import to_corners
from mlcvbench_detection.geometry.interpolation import area_under_curve, interpolated_mean
from mlcvbench_detection.geometry.ragged import Ragged, expand, ragged
from mlcvbench_detection.truth import truth_of

IOU = 0.5
ELEVEN = np.arange(11) * 0.1
_CELLS = 1 << 18


class VocScorer(VectorizedScorer):
    """Protocols `voc/11pt@1`, `voc/allpoint@1`, and `voc/11pt/plus1@1`, `voc/allpoint/plus1@1`.

    - A detection belongs to the annotation of its class and image with the highest IoU (the first of equals), whether
      that is taken or not. With an IoU of 0.5 or more, the first by score is true and later ones are false; one that
      belongs to a difficult annotation is ignored. Equal scores keep the order of the split.
    - `plus1`: boxes are inclusive pixel indices, so a side is x2 - x1 + 1, as in the development kit. Without it a side
      is x2 - x1, as in most newer code.
    - A class without annotations to find (difficult ones do not count) is excluded from the mean.
    """

    def __init__(self, problem: Problem, *, eleven: bool, plus_one: bool) -> None:
        self.classes = len(problem.classes)
        self.eleven, self._side = eleven, float(plus_one)
        self.protocol_id = voc_protocol(eleven=eleven, plus_one=plus_one)
        name = "voc_ap50_11pt" if eleven else "voc_ap50"
        how = "at 11 recalls" if eleven else "as the area under the precision-recall curve"
        summary = f"mean over classes of average precision at IoU 0.5, {how}"
        self.metrics = (MetricSpec(name, summary, provenance="reference-tolerance"),)

    def rows(self, predictions: Predictions, targets: Targets, units: Array) -> Table:
        """Return one row per detection (`kind` 0) and one per annotation (`kind` 1).

        Columns: `unit`, `rank`, `kind`, `category`, `score` (0 for annotations), `match` (true positive; annotation
        found) and `ignore` (belongs to a difficult annotation; is difficult), `index`, the index in its image.
        """
        scores, labels = ragged(predictions, "scores"), ragged(predictions, "labels")
        annotated, difficult = ragged(targets, "labels"), truth_of(targets, "difficult").values
        order = np.argsort(-scores.values, kind="stable")
        order = order[np.argsort(scores.units[order], kind="stable")]
        owner = self._owners(predictions, targets, order)
        match, ignore, found = _match(owner, difficult)
        unit = np.concatenate([scores.units[order], annotated.units])
        count = len(annotated.values)
        columns: dict[str, Array] = {
            "kind": np.repeat(np.array([DETECTION, ANNOTATION], dtype=np.uint8), [len(order), count]),
            "category": np.concatenate([labels.values[order], annotated.values]).astype(np.uint16),
            "score": np.concatenate([scores.values[order], np.zeros(count)]),
            "match": np.concatenate([match, found]),
            "ignore": np.concatenate([ignore, difficult]),
            "index": np.concatenate([_within(scores)[order], _within(annotated)]).astype(np.uint32),
        }
        by_unit = np.argsort(unit, kind="stable")
        rank = np.arange(len(unit)) - np.searchsorted(unit[by_unit], unit[by_unit])
        columns = {name: column[by_unit] for name, column in columns.items()}
        real = np.asarray(units, dtype=np.int64)[unit[by_unit]]
        return Table({"unit": real, "rank": rank.astype(np.uint32), **columns})

    def summarise_many(self, table: Table, weights: Array) -> dict[str, Array]:
        """Return the metric under each row of `weights` (R, U), NaN where undefined."""
        by_class = self.class_precision(table, weights)  # (R, K)
        defined = np.count_nonzero(~np.isnan(by_class), axis=1)
        with np.errstate(invalid="ignore"):  # without a class to average 0 / 0 is NaN, undefined
            return {self.metrics[0].name: np.nansum(by_class, axis=1) / defined}

    def class_precision(self, table: Table, weights: Array) -> Array:
        """Return the average precision of each class (R, K), NaN where it has no annotation to find."""
        result = np.full((len(weights), self.classes), np.nan)
        for label, one in enumerate(class_curves(table, self.classes)):
            step = max(1, _CELLS // max(1, len(one.unit)))
            for start in range(0, len(weights), step):
                rows = slice(start, start + step)
                result[rows, label] = self._average(one, weights[rows])
        return result

    def _average(self, one: ClassCurve, weights: Array) -> Array:
        positives = weights[:, one.wanted].sum(axis=1)
        positives = np.where(positives > 0, positives, np.nan)
        seen = np.cumsum(weights[:, one.unit], axis=1)[:, one.true]
        hits = np.cumsum(weights[:, one.unit[one.true]], axis=1)
        precision = hits / np.where(seen > 0, seen, 1.0)
        recall = np.where(np.isnan(positives)[:, None], 0.0, hits / positives[:, None])
        area = interpolated_mean(precision, recall, ELEVEN) if self.eleven else area_under_curve(precision, recall)
        return np.where(np.isnan(positives), np.nan, area)

    def _owners(self, predictions: Predictions, targets: Targets, order: Array) -> Array:
        """Return the annotation each detection belongs to, in `order`; -1 for none."""
        scores, annotated = ragged(predictions, "scores"), ragged(targets, "labels")
        key = (scores.units * self.classes + predictions["labels"].values)[order]
        other = annotated.units * self.classes + annotated.values
        by_key = np.argsort(other, kind="stable")
        first = np.searchsorted(other[by_key], key)
        counts = np.searchsorted(other[by_key], key, side="right") - first
        boxes = to_corners(detected_boxes(predictions).values)[order]
        truth = to_corners(ragged(targets, "xywh").values)
        owner = np.full(len(order), -1)
        held = np.flatnonzero(counts)
        for some in np.split(held, np.flatnonzero(np.diff(np.cumsum(counts[held]) // _CELLS)) + 1):
            if not len(some):
                continue
            pairs = by_key[expand(first[some], counts[some])]
            iou = box_iou(np.repeat(boxes[some], counts[some], axis=0), truth[pairs], self._side)
            starts = np.cumsum(counts[some]) - counts[some]
            best = np.maximum.reduceat(iou, starts)
            is_best = np.flatnonzero(iou == np.repeat(best, counts[some]))
            winner = is_best[np.searchsorted(is_best, starts)]  # the first of equal ones
            owner[some] = np.where(best >= IOU, pairs[winner], -1)
        return owner


@dataclass(frozen=True, slots=True)
class ClassCurve:
    """One class.

    `unit`, `score` (N,): its counted detections by descending score; `true`: indices of the true positives among them;
    `wanted`: units of the annotations to find.
    """

    unit: Array
    score: Array
    true: Array
    wanted: Array


def class_curves(table: Table, classes: int) -> list[ClassCurve]:
    """Return the detections of each class in matching order."""
    counted = ~table["ignore"]
    found = np.flatnonzero((table["kind"] == DETECTION) & counted)
    found = found[np.argsort(-table["score"][found], kind="stable")]
    found = found[np.argsort(table["category"][found], kind="stable")]
    wanted = np.flatnonzero((table["kind"] == ANNOTATION) & counted)
    wanted = wanted[np.argsort(table["category"][wanted], kind="stable")]
    labels = np.arange(classes + 1)
    bounds = np.searchsorted(table["category"][found], labels)
    limits = np.searchsorted(table["category"][wanted], labels)
    curves = []
    for label in range(classes):
        own = found[bounds[label] : bounds[label + 1]]
        units = table["unit"][wanted[limits[label] : limits[label + 1]]]
        true = np.flatnonzero(table["match"][own])
        curves.append(ClassCurve(table["unit"][own], table["score"][own], true, units))
    return curves


def box_iou(boxes: Array, others: Array, side: float = 0.0) -> Array:
    """Return the IoU of corners (N, 4) with corners (N, 4), row by row; `side` is added to every width and height.

    >>> box_iou(np.array([[0.0, 0, 10, 10]]), np.array([[5.0, 0, 15, 10]])).round(4).tolist()
    [0.3333]
    """
    inner = np.minimum(boxes[:, 2:], others[:, 2:]) - np.maximum(boxes[:, :2], others[:, :2]) + side
    shared = np.where((inner > 0).all(axis=1), inner[:, 0] * inner[:, 1], 0.0)
    areas = [(box[:, 2] - box[:, 0] + side) * (box[:, 3] - box[:, 1] + side) for box in (boxes, others)]
    union = areas[0] + areas[1] - shared
    ratio: Array = shared / np.where(shared > 0, union, 1.0)
    return ratio


def voc_protocol(*, eleven: bool, plus_one: bool) -> str:
    """Return the id of a protocol.

    >>> voc_protocol(eleven=True, plus_one=True)
    'voc/11pt/plus1@1'
    """
    return f"voc/{'11pt' if eleven else 'allpoint'}{'/plus1' if plus_one else ''}@1"


def _match(owner: Array, difficult: Array) -> tuple[Array, Array, Array]:
    """Return match and ignore of the detections, in order, and which annotations are found."""
    belongs = owner >= 0
    ignore = belongs & difficult[np.maximum(owner, 0)] if len(difficult) else np.zeros(len(owner), dtype=bool)
    candidates = np.flatnonzero(belongs & ~ignore)
    found, first = np.unique(owner[candidates], return_index=True)
    match = np.zeros(len(owner), dtype=bool)
    match[candidates[first]] = True
    taken = np.zeros(len(difficult), dtype=bool)
    taken[found] = True
    return match, ignore, taken


def _within(column: Ragged) -> Array:
    """Return the index of each value within its sample."""
    place: Array = np.arange(len(column.values)) - np.repeat(column.starts[:-1], column.counts)
    return place


VOC_SCORERS: Mapping[str, Callable[[Problem], Scorer]] = {
    voc_protocol(eleven=eleven, plus_one=plus_one): partial(VocScorer, eleven=eleven, plus_one=plus_one)
    for eleven in (True, False)
    for plus_one in (False, True)
}
"""The scorer of each protocol id."""
