"""The scorer of COCO's family of protocols: twelve metrics for boxes, twelve for masks."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mlcvbench.contract import Array, MetricSpec, Predictions, Problem, Scorer, Table, Targets, Values
from mlcvbench.errors import PredictionError, UnknownNameError
from mlcvbench_detection.coco import engines
from mlcvbench_detection.coco.bootstrap import Plan
from mlcvbench_detection.coco.summary import (
    ANNOTATION,
    DETECTION,
    Number,
    Ranking,
    count_positives,
    curves,
    rank_rows,
    summarise_curves,
)
from mlcvbench_detection.geometry.boxes import pairwise_iou
from mlcvbench_detection.geometry.masks import pairwise_mask_iou
from mlcvbench_detection.geometry.matching import Annotations, Detections, Matched, PairIou, match
from mlcvbench_detection.geometry.ragged import Ragged, ragged, runs_of
from mlcvbench_detection.predictions import RaggedMasks
from mlcvbench_detection.protocols import BOXES, FEWEST, MASKS, coco_protocol
from mlcvbench_detection.truth import truth_of

PRECISIONS = (
    Number("ap", "mean over classes and IoU 0.50 to 0.95 of average precision (101 recalls)"),
    Number("ap50", "average precision at IoU 0.50", threshold=0),
    Number("ap75", "average precision at IoU 0.75", threshold=5),
    Number("ap_small", "average precision of objects up to 32 x 32 pixels", area=1),
    Number("ap_medium", "average precision of objects of 32 x 32 to 96 x 96 pixels", area=2),
    Number("ap_large", "average precision of objects from 96 x 96 pixels", area=3),
)
_COUNTS = {1: "one detection", 10: "ten detections", 100: "a hundred detections", 1000: "a thousand detections"}


def recalls_by_size(most: int) -> tuple[Number, ...]:
    """Return the recalls of small, medium and large objects with up to `most` detections."""
    return (
        Number("ar_small", "recall of objects up to 32 x 32 pixels", area=1, limit=most),
        Number("ar_medium", "recall of objects of 32 x 32 to 96 x 96 pixels", area=2, limit=most),
        Number("ar_large", "recall of objects from 96 x 96 pixels", area=3, limit=most),
    )


def coco_numbers(most: int) -> tuple[Number, ...]:
    """Return COCO's twelve metrics with up to `most` detections per class and image."""
    counted = {limit: _COUNTS.get(limit, f"{limit} detections") for limit in (1, 10, most)}
    return (
        *PRECISIONS,
        Number("ar1", f"recall with {counted[1]} of a class in an image, mean over classes and IoU", limit=1),
        *(Number(f"ar{n}", f"recall with {counted[n]} of a class in an image", limit=n) for n in (10, most)),
        *recalls_by_size(most),
    )


class CocoScorer(Scorer):
    """Protocols `coco/bbox/maxdetN@1` and `coco/segm/maxdetN@2`: pycocotools' `COCOeval` with `maxDets` [1, 10, N].

    - A detection matches one annotation of its class and image, at ten IoU thresholds and in four area ranges; crowds
      and annotations outside the range are neither found nor missed. The field `ignore` of annotations has no effect,
      as in pycocotools, which overwrites it.
    - Per class and image the N detections with the highest scores are considered; N = 100 is COCO's default.
    - A class without annotations in an area range is excluded from the mean. A metric without any class is undefined
      (None, where pycocotools prints -1).
    - The area of a detection, which decides under small, medium and large whether it may be false: for masks that of
      the mask, whatever else the results hold; for boxes that of the box, or of the mask where results have no boxes,
      as in `COCO.loadRes`.
    - Annotations with id 0 are never found: a detection that matches one counts as false, as in pycocotools, where a
      match is a non-zero id. `engine=hotcoco` counts it as found and shows the difference.
    - Where a class has few objects average precision is biased upwards, since its curve takes maxima: by 0.012 of 0.33
      with 40 objects in each of 8 classes, more with fewer. Intervals cover both the mean score of test sets of this
      size and the lower one of very large sets (`docs/intervals.md`). Recall has no such bias.
    """

    engines: ClassVar[tuple[str, ...]] = tuple(engines.ENGINES)

    def __init__(self, problem: Problem, *, kind: str = BOXES, most: int = FEWEST) -> None:
        self.classes = len(problem.classes)
        self.kind, self.most = kind, most
        self.protocol_id = coco_protocol(kind, most)
        self.groups = np.full(self.classes, "")
        self._take(coco_numbers(most))

    def _take(self, numbers: tuple[Number, ...]) -> None:
        """Set up the metrics of the protocol; no table is cached yet."""
        self.numbers = numbers
        self.limits = tuple(dict.fromkeys(number.limit for number in numbers if number.limit is not None))
        prefix = "mask_" if self.kind == MASKS else ""
        self.metrics = tuple(MetricSpec(f"{prefix}{number.name}", number.summary) for number in numbers)
        self._plan: tuple[Table, Plan] | None = None
        self._ranking: tuple[Table, Ranking] | None = None

    def rows(self, predictions: Predictions, targets: Targets, units: Array) -> Table:
        """Return one row per considered detection (`kind` 0) and one per annotation (`kind` 1).

        Columns: `unit`; `rank`, the order within the unit; `kind`; `category`; `score` (0 for annotations); `place`,
        the rank of a detection in its class and image; `index`, its index among all of its image; `match` and `ignore`,
        masks with bit `area * 10 + threshold`: matched (annotations: found); left out of the count.
        """
        detections, annotations = self.subjects(predictions, targets)
        found = self._matched(detections, annotations, predictions, targets)
        return self._table(found, (detections, annotations), np.asarray(units, dtype=np.int64), predictions, targets)

    def summarise(self, table: Table, weights: Array | None = None) -> Values:
        """Return the metrics; for unit weights bit for bit those of the reference."""
        values = summarise_curves(curves(self.ranking(table), self.limits, weights), self.numbers, self.groups)
        return dict(zip((metric.name for metric in self.metrics), values, strict=True))

    def summarise_many(self, table: Table, weights: Array) -> dict[str, Array]:
        """Return the metrics under each row of `weights` (R, U), within 1e-12 of `summarise`."""
        if self._plan is None or self._plan[0] is not table:
            self._plan = (table, Plan(self.ranking(table), self.numbers, self.groups))
        many = self._plan[1].summarise(weights)  # (R, numbers)
        return {metric.name: many[:, place] for place, metric in enumerate(self.metrics)}

    def undefined(self, table: Table) -> dict[str, str]:
        """Return the metrics without a class that has an annotation to find, each with the reason."""
        present = count_positives(self.ranking(table)) > 0  # (areas, K)
        reasons = {}
        for metric, number in zip(self.metrics, self.numbers, strict=True):
            if number.group and number.group not in self.groups:
                reasons[metric.name] = f"no class of the data has the frequency {number.group!r}"
            elif number.group and not present[0, self.groups == number.group].any():
                reasons[metric.name] = f"no annotation of a class of frequency {number.group!r} is to be found"
            elif not present[number.area].any():
                size = "of that size " if present[0].any() else ""
                reasons[metric.name] = f"no annotation {size}is to be found"
        return reasons

    def ranking(self, table: Table) -> Ranking:
        """Return the rows in matching order, for curves and results by class."""
        if self._ranking is None or self._ranking[0] is not table:
            self._ranking = (table, rank_rows(table, self.classes))
        return self._ranking[1]

    def reference(self, predictions: Predictions, targets: Targets) -> Values | None:
        """Return the metrics of hotcoco under COCO's default limit, of pycocotools where hotcoco is known to differ."""
        if self.most != FEWEST:
            return None
        void = bool((truth_of(targets, "annotation").values == 0).any())
        return self.by_engine("pycocotools" if void else "hotcoco", predictions, targets)

    def by_engine(self, name: str, predictions: Predictions, targets: Targets) -> Values:
        """Return the twelve metrics of another implementation, run on the same checked columns."""
        if name not in engines.ENGINES:
            raise UnknownNameError("engine", name, engines.ENGINES)
        check_masks(predictions, targets, self.kind)
        asked = engines.Asked(self.classes, self.kind, self.most)
        values = engines.ENGINES[name](predictions, targets, asked)
        return dict(zip((metric.name for metric in self.metrics), values, strict=True))

    def subjects(self, predictions: Predictions, targets: Targets) -> tuple[Detections, Annotations]:
        """Return what is matched: detections and annotations with their indices in the columns."""
        scores, labels = predictions["scores"], predictions["labels"]
        wanted, crowd = ragged(targets, "labels"), truth_of(targets, "crowd").values
        return (
            Detections(scores.units, labels.values, scores.values, detected_areas(predictions, self.kind)),
            Annotations(
                wanted.units,
                wanted.values,
                truth_of(targets, "area").values,
                crowd,
                crowd,
                truth_of(targets, "annotation").values == 0,
            ),
        )

    def _matched(
        self, detections: Detections, annotations: Annotations, predictions: Predictions, targets: Targets
    ) -> Matched:
        return match(detections, annotations, self.classes, self.most, self._pair_iou(predictions, targets))

    def _pair_iou(self, predictions: Predictions, targets: Targets) -> PairIou:
        return self._iou_of(predictions, targets, truth_of(targets, "crowd").values)

    def _iou_of(self, predictions: Predictions, targets: Targets, crowd: Array) -> PairIou:
        """Return the IoU of boxes or masks; for a crowd (M,) the union is the detection alone."""
        if self.kind == BOXES:
            return pairwise_iou(detected_boxes(predictions).values, ragged(targets, "xywh").values, crowd)
        check_masks(predictions, targets, self.kind)
        masks: RaggedMasks = predictions["masks"]
        wanted: RaggedMasks = targets["masks"]  # type: ignore[assignment]
        return pairwise_mask_iou(masks.values, wanted.values, crowd)

    def _table(
        self,
        found: Matched,
        subjects: tuple[Detections, Annotations],
        units: Array,
        predictions: Predictions,
        targets: Targets,
    ) -> Table:
        """Return the rows, sorted by (unit, rank)."""
        detections, annotations = subjects
        order, count = found.order, len(annotations.unit)
        number = order - predictions["scores"].starts[detections.unit[order]]
        own = np.arange(count) - ragged(targets, "labels").starts[annotations.unit]
        index = np.concatenate([number, own], dtype=np.uint32, casting="unsafe")
        del number  # memory is scarcest here
        columns = {
            "unit": units[np.concatenate([detections.unit[order], annotations.unit])],
            "kind": np.repeat(np.array([DETECTION, ANNOTATION], dtype=np.uint8), [len(order), count]),
            "category": np.concatenate([detections.label[order], annotations.label], dtype=np.uint16, casting="unsafe"),
            "score": np.concatenate([detections.score[order], np.zeros(count)]),
            "place": np.concatenate(
                [found.place, np.zeros(count)], dtype=np.uint8 if self.most <= 256 else np.uint16, casting="unsafe"
            ),
            "index": index,
            "match": np.concatenate([found.match, found.taken]),
            "ignore": np.concatenate([found.ignore, found.left_out]),
        }
        by_unit = np.argsort(columns["unit"], kind="stable")
        for name in columns:  # one by one, so that only one is held twice
            columns[name] = columns[name][by_unit]
        starts, counts = runs_of(columns["unit"])
        rank = np.arange(len(by_unit), dtype=np.uint32) - np.repeat(starts.astype(np.uint32), counts)
        return Table({"unit": columns.pop("unit"), "rank": rank, **columns})


def detected_areas(predictions: Predictions, kind: str) -> Array:
    """Return the areas of detections, float64 (N,): of masks where masks are scored or boxes are missing."""
    if kind == MASKS or "xywh" not in predictions:
        areas: Array = masks_of(predictions).values.area().astype(np.float64)
        return areas
    boxes = predictions["xywh"].values
    box_areas: Array = boxes[:, 2] * boxes[:, 3]
    return box_areas


def detected_boxes(predictions: Predictions) -> Ragged:
    """Return the boxes of predictions, those of their masks when they have none, float64 xywh."""
    if "xywh" in predictions:
        return predictions["xywh"]  # type: ignore[no-any-return]
    masks = predictions["masks"]
    return Ragged(masks.values.boxes(), masks.starts)


def check_masks(predictions: Predictions, targets: Targets, kind: str) -> None:
    """Refuse, where masks are scored, predictions without masks or with one that is not as large as its image."""
    if kind != MASKS:
        return
    masks = masks_of(predictions)
    sizes = np.asarray(targets["size"])[np.repeat(np.arange(len(masks)), np.diff(masks.starts))]
    strange = (masks.values.size != sizes).any(axis=1)
    if strange.any():
        row = int(np.argmax(strange))
        raise PredictionError(
            f"field 'masks': a mask has size {masks.values.size[row].tolist()}, its image {sizes[row].tolist()}."
        )


def masks_of(predictions: Predictions) -> RaggedMasks:
    """Return the masks of predictions; PredictionError when they have none."""
    if "masks" not in predictions:
        raise PredictionError("the predictions have no masks; score them under a box protocol.")
    masks: RaggedMasks = predictions["masks"]
    return masks
