"""The scorers of COCO: twelve numbers for boxes, twelve for masks."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from mlcvbench.contract import Array, MetricSpec, Predictions, Problem, Scorer, Table, Targets, Values
from mlcvbench.errors import PredictionError, UnknownNameError
from mlcvbench_detection import engines
from mlcvbench_detection.bootstrap import Plan
from mlcvbench_detection.boxes import pairwise_iou
from mlcvbench_detection.masks import pairwise_mask_iou
from mlcvbench_detection.matching import Annotations, Detections, Matched, PairIou, match
from mlcvbench_detection.predictions import RaggedMasks
from mlcvbench_detection.ragged import Ragged, ragged
from mlcvbench_detection.summary import (
    ANNOTATION,
    DETECTION,
    Ranking,
    count_positives,
    curves,
    rank_rows,
    summarise_curves,
)

_SUMMARIES = (
    ("ap", "mean over classes and IoU 0.50 to 0.95 of average precision (101 recalls)"),
    ("ap50", "average precision at IoU 0.50"),
    ("ap75", "average precision at IoU 0.75"),
    ("ap_small", "average precision of objects up to 32 x 32 pixels"),
    ("ap_medium", "average precision of objects of 32 x 32 to 96 x 96 pixels"),
    ("ap_large", "average precision of objects from 96 x 96 pixels"),
    ("ar1", "recall with one detection of a class in an image, mean over classes and IoU"),
    ("ar10", "recall with ten detections of a class in an image"),
    ("ar100", "recall with a hundred detections of a class in an image"),
    ("ar_small", "recall of objects up to 32 x 32 pixels"),
    ("ar_medium", "recall of objects of 32 x 32 to 96 x 96 pixels"),
    ("ar_large", "recall of objects from 96 x 96 pixels"),
)


class CocoScorer(Scorer):
    """Protocol `coco/bbox/maxdet100@1`: pycocotools' `COCOeval` with its default parameters.

    - A detection matches one annotation of its class and image, at ten IoU thresholds and in four area ranges; crowds
      and annotations outside the range are neither found nor missed. The field `ignore` of annotations has no effect,
      as in pycocotools, which overwrites it.
    - A class without annotations in an area range is left out of the mean. A metric without any class is undefined
      (None, where pycocotools prints -1).
    - The area of a detection is that of its box when results have boxes, else that of its mask: what
      `COCO.loadRes` makes of the stored file.
    - Annotations with id 0 are never found: a detection that matches one counts as false, as in pycocotools, where a
      match is a non-zero id. `engine=hotcoco` counts it as found and shows the difference.
    - Where a class has few objects average precision comes out high, its curve keeping the best luck: by 0.012 of 0.33
      with 40 objects in each of 8 classes, more with fewer. Intervals hold both the mean score of test sets of this
      size and the lower one of very large sets (`docs/intervals.md`). Recall has no such bias.
    """

    protocol_id: str = "coco/bbox/maxdet100@1"
    metrics: tuple[MetricSpec, ...] = tuple(MetricSpec(name, summary) for name, summary in _SUMMARIES)
    engines: ClassVar[tuple[str, ...]] = tuple(engines.ENGINES)
    _kind = "bbox"

    def __init__(self, problem: Problem) -> None:
        self.classes = len(problem.classes)
        self._plan: tuple[Table, Plan] | None = None
        self._ranking: tuple[Table, Ranking] | None = None

    def rows(self, predictions: Predictions, targets: Targets, units: Array) -> Table:
        """Return a row a detection that is looked at (`kind` 0) and a row an annotation (`kind` 1).

        Columns: `unit`; `rank`, the order inside the unit; `kind`; `category`; `score` (0 for annotations); `place`,
        the rank of a detection in its class and image; `index`, its place among all of its image; `match` and
        `ignore`, masks with bit `area * 10 + threshold`: matched (annotations: found); left out of the count.
        """
        detections, annotations = subjects(predictions, targets)
        found = match(detections, annotations, self.classes, self._pair_iou(predictions, targets))
        return _table(found, detections, annotations, np.asarray(units, dtype=np.int64), predictions, targets)

    def summarise(self, table: Table, weights: Array | None = None) -> Values:
        """Return the twelve numbers, for unit weights float for float those of pycocotools."""
        values = summarise_curves(curves(self.ranking(table), weights))
        return dict(zip((metric.name for metric in self.metrics), values, strict=True))

    def summarise_many(self, table: Table, weights: Array) -> dict[str, Array]:
        """Return the twelve numbers under each row of `weights` (R, U), within 1e-12 of `summarise`."""
        if self._plan is None or self._plan[0] is not table:
            self._plan = (table, Plan(self.ranking(table)))
        many = self._plan[1].summarise(weights)  # (R, 12)
        return {metric.name: many[:, place] for place, metric in enumerate(self.metrics)}

    def undefined(self, table: Table) -> dict[str, str]:
        """Return the metrics without a class that has an annotation to find, each with the reason."""
        present = [bool(found.any()) for found in count_positives(self.ranking(table))]  # (areas,)
        ranges = [0, 0, 0, 1, 2, 3, 0, 0, 0, 1, 2, 3]
        reason = "no annotation of that size is to be found" if present[0] else "no annotation is to be found"
        return {metric.name: reason for metric, area in zip(self.metrics, ranges, strict=True) if not present[area]}

    def ranking(self, table: Table) -> Ranking:
        """Return the rows in the order in which they are judged, for curves and results by class."""
        if self._ranking is None or self._ranking[0] is not table:
            self._ranking = (table, rank_rows(table, self.classes))
        return self._ranking[1]

    def reference(self, predictions: Predictions, targets: Targets) -> Values | None:
        """Return what hotcoco says; pycocotools where hotcoco is known to differ."""
        void = bool((ragged(targets, "annotation").values == 0).any())
        return self.by_engine("pycocotools" if void else "hotcoco", predictions, targets)

    def by_engine(self, name: str, predictions: Predictions, targets: Targets) -> Values:
        """Return the twelve numbers of another implementation, run on the same checked columns."""
        if name not in engines.ENGINES:
            raise UnknownNameError("engine", name, engines.ENGINES)
        check_masks(predictions, targets, self._kind)
        values = engines.ENGINES[name](predictions, targets, self.classes, self._kind)
        return dict(zip((metric.name for metric in self.metrics), values, strict=True))

    def _pair_iou(self, predictions: Predictions, targets: Targets) -> PairIou:
        return pairwise_iou(
            detected_boxes(predictions).values, ragged(targets, "xywh").values, ragged(targets, "crowd").values
        )


class CocoMaskScorer(CocoScorer):
    """Protocol `coco/segm/maxdet100@1`: the same with the IoU of masks."""

    protocol_id = "coco/segm/maxdet100@1"
    metrics = tuple(MetricSpec(f"mask_{name}", summary) for name, summary in _SUMMARIES)
    _kind = "segm"

    def _pair_iou(self, predictions: Predictions, targets: Targets) -> PairIou:
        check_masks(predictions, targets, self._kind)
        masks: RaggedMasks = predictions["masks"]
        wanted: Any = targets["masks"]
        return pairwise_mask_iou(masks.values, wanted.values, ragged(targets, "crowd").values)


def subjects(predictions: Predictions, targets: Targets) -> tuple[Detections, Annotations]:
    """Return what is matched: detections and annotations with their places in the columns."""
    scores, labels = predictions["scores"], predictions["labels"]
    annotated = ragged(targets, "labels")
    boxed = predictions.get("xywh")
    area = boxed.values[:, 2] * boxed.values[:, 3] if boxed is not None else predictions["masks"].values.area()
    return (
        Detections(scores.units, labels.values, scores.values, area.astype(np.float64)),
        Annotations(
            annotated.units,
            annotated.values,
            ragged(targets, "area").values,
            ragged(targets, "crowd").values,
            ragged(targets, "annotation").values == 0,
        ),
    )


def detected_boxes(predictions: Predictions) -> Ragged:
    """Return the boxes of predictions, those of their masks when they have no other, float64 xywh."""
    if "xywh" in predictions:
        return predictions["xywh"]  # type: ignore[no-any-return]
    masks = predictions["masks"]
    return Ragged(masks.values.boxes(), masks.starts)


def check_masks(predictions: Predictions, targets: Targets, kind: str) -> None:
    """Refuse, where masks are scored, predictions without masks or with one that is not as large as its image."""
    if kind != "segm":
        return
    if "masks" not in predictions:
        raise PredictionError("the predictions have no masks; score them under a protocol of boxes.")
    masks: RaggedMasks = predictions["masks"]
    sizes = np.asarray(targets["size"])[np.repeat(np.arange(len(masks)), np.diff(masks.starts))]
    strange = (masks.values.size != sizes).any(axis=1)
    if strange.any():
        row = int(np.argmax(strange))
        raise PredictionError(
            f"field 'masks': a mask has size {masks.values.size[row].tolist()}, its image {sizes[row].tolist()}."
        )


def _table(
    found: Matched,
    detections: Detections,
    annotations: Annotations,
    units: Array,
    predictions: Predictions,
    targets: Targets,
) -> Table:
    """Return the rows, sorted by (unit, rank)."""
    order, count = found.order, len(annotations.unit)
    unit = np.concatenate([detections.unit[order], annotations.unit])
    number = np.arange(len(predictions["scores"].values)) - predictions["scores"].starts[detections.unit]
    own = np.arange(count) - ragged(targets, "labels").starts[annotations.unit]
    columns = {
        "unit": units[unit],
        "kind": np.repeat(np.array([DETECTION, ANNOTATION], dtype=np.uint8), [len(order), count]),
        "category": np.concatenate([detections.label[order], annotations.label]).astype(np.uint16),
        "score": np.concatenate([detections.score[order], np.zeros(count)]),
        "place": np.concatenate([found.place, np.zeros(count, np.int64)]).astype(np.uint8),
        "index": np.concatenate([number[order], own]).astype(np.uint32),
        "match": np.concatenate([found.match, found.taken]),
        "ignore": np.concatenate([found.ignore, found.left_out]),
    }
    by_unit = np.argsort(unit, kind="stable")
    columns = {name: column[by_unit] for name, column in columns.items()}
    sorted_unit = unit[by_unit]
    rank = np.arange(len(unit)) - np.searchsorted(sorted_unit, sorted_unit)
    return Table({"unit": columns.pop("unit"), "rank": rank.astype(np.uint32), **columns})
