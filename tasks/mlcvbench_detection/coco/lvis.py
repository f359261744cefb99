"""The scorer of LVIS: COCO's metrics on a federated set, where each image was checked for some classes only.

Source: Gupta, Dollar, Girshick, LVIS, CVPR 2019; lvis-api 0.5.3, `LVISEval` and `LVISResults`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from mlcvbench.contract import Array, Predictions, Problem, Targets, Values
from mlcvbench_detection.coco.scoring import PRECISIONS, CocoScorer, recalls_by_size
from mlcvbench_detection.coco.summary import Number
from mlcvbench_detection.geometry.matching import EVERY_SETTING, Annotations, Detections, Matched, PairIou, match
from mlcvbench_detection.geometry.ragged import Ragged, ragged
from mlcvbench_detection.protocols import BOXES, LVIS_LIMIT, lvis_protocol
from mlcvbench_detection.truth import truth_of

FREQUENCIES = {"r": "rare", "c": "common", "f": "frequent"}
"""In how many training images a class is: fewer than 10, fewer than 100, more. Written r, c, f in the categories."""
LVIS_NUMBERS = (
    *PRECISIONS,
    *(
        Number(f"ap_{name}", f"average precision of {name} classes", group=letter)
        for letter, name in FREQUENCIES.items()
    ),
    Number(
        f"ar{LVIS_LIMIT}",
        f"recall with {LVIS_LIMIT} detections in an image, mean over classes and IoU",
        limit=LVIS_LIMIT,
    ),
    *recalls_by_size(LVIS_LIMIT),
)


class LvisScorer(CocoScorer):
    """Protocols `lvis/bbox/maxdet300@1` and `lvis/segm/maxdet300@1`: lvis-api's `LVISEval`.

    As COCO's, but

    - the 300 detections with the highest scores per image are considered, over all classes;
    - those of a class that was not checked in the image are ignored: it has no annotation of the class, and
      `neg_category_ids` does not name it;
    - where `not_exhaustive_category_ids` names the class, a detection without a match does not count;
    - annotations with `ignore` are neither found nor missed; there are no crowds;
    - a detection's area is that of its mask for masks and that of its box for boxes (lvis-api takes the box's for both
      where results hold both);
    - `ap_rare`, `ap_common`, `ap_frequent` are means over the classes of one `frequency`, undefined without it.
    """

    engines: ClassVar[tuple[str, ...]] = ()

    def __init__(self, problem: Problem, *, kind: str = BOXES) -> None:
        super().__init__(problem, kind=kind, most=LVIS_LIMIT)
        self.protocol_id = lvis_protocol(kind)
        self.groups = np.array(problem.extra.get("frequency") or [""] * self.classes, dtype=np.str_)
        self._take(LVIS_NUMBERS)

    def subjects(self, predictions: Predictions, targets: Targets) -> tuple[Detections, Annotations]:
        detections, annotations = super().subjects(predictions, targets)
        nowhere = np.zeros(len(annotations.unit), dtype=bool)
        return detections, replace(annotations, crowd=nowhere, ignored=truth_of(targets, "ignore").values)

    def reference(self, predictions: Predictions, targets: Targets) -> Values | None:
        return None

    def _matched(
        self, detections: Detections, annotations: Annotations, predictions: Predictions, targets: Targets
    ) -> Matched:
        kept = self._looked_at(detections, annotations, ragged(targets, "negative"))
        some = Detections(*(getattr(detections, name)[kept] for name in Detections.__slots__))
        iou = self._pair_iou(predictions, targets)
        found = match(some, annotations, self.classes, self.most, lambda one, other: iou(kept[one], other))
        order = kept[found.order]
        unchecked = np.isin(self._keys(detections.unit, detections.label)[order], self._of(targets, "unchecked"))
        ignore = np.where(unchecked, found.ignore | (~found.match & EVERY_SETTING), found.ignore)
        return replace(found, order=order, ignore=ignore)

    def _pair_iou(self, predictions: Predictions, targets: Targets) -> PairIou:
        return self._iou_of(predictions, targets, np.zeros(len(ragged(targets, "labels").values), dtype=bool))

    def _looked_at(self, detections: Detections, annotations: Annotations, negative: Ragged) -> Array:
        """Return the indices of the detections that may count, ascending."""
        order = np.argsort(-detections.score, kind="stable")
        order = order[np.argsort(detections.unit[order], kind="stable")]
        unit = detections.unit[order]
        best = np.sort(order[np.arange(len(unit)) - np.searchsorted(unit, unit) < self.most])
        checked = [self._keys(annotations.unit, annotations.label), self._keys(negative.units, negative.values)]
        known = np.isin(self._keys(detections.unit, detections.label)[best], np.concatenate(checked))
        places: Array = best[known]
        return places

    def _of(self, targets: Targets, name: str) -> Array:
        column = ragged(targets, name)
        return self._keys(column.units, column.values)

    def _keys(self, unit: Array, label: Array) -> Array:
        """Return a number for each (image, class)."""
        keys: Array = unit * self.classes + label
        return keys
