"""The mistakes of a detector by kind, and what it takes for what: hotcoco's TIDE and confusion matrix.

Both see what the protocol counts: no detection that it ignores, such as one of a crowd, and no annotation that does not
have to be found. IoU is that of COCO, 0.5 and more is a hit.

Source: Bolya et al., TIDE: A General Toolbox for Identifying Object Detection Errors, ECCV 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mlcvbench.contract import Array, Outcome, Predictions, Table
from mlcvbench_detection.analysis.curves import outcomes
from mlcvbench_detection.coco import engines
from mlcvbench_detection.geometry.ragged import Labels, Ragged, ragged
from mlcvbench_detection.predictions import RaggedMasks
from mlcvbench_detection.protocols import BOXES, MASKS, scores_masks
from mlcvbench_detection.truth import truth_of

HIT, NEAR = 0.5, 0.1
"""IoU from which a detection hits an object, and from which it is near one."""
KINDS = {
    "Loc": "localisation",
    "Cls": "class",
    "Both": "both",
    "Dupe": "duplicate",
    "Bkg": "background",
    "Miss": "missed",
}
"""Kinds of mistakes by hotcoco's names."""


class Kind(NamedTuple):
    """How often a mistake was made, and how much AP at IoU 0.5 would rise without it."""

    times: int
    lost: float


@dataclass(frozen=True, slots=True)
class Mistakes:
    """Detections as hotcoco holds them, at most `most` in an image; without `any` nothing can be put right."""

    _evaluation: Any
    most: int
    any: bool

    def kinds(self) -> dict[str, Kind]:
        """Return each kind of mistake by the names in `KINDS`.

        Of a false detection: `localisation`, near an object of its class; `class`, a hit of another class;
        `both`, near one of another class; `duplicate`, a hit of an object that is taken; `background`, near none.
        `missed`: objects without a detection, none of another class or place either.
        """
        found = self._evaluation.tide_errors(pos_thr=HIT, bg_thr=NEAR)
        return {
            name: Kind(int(found["counts"][short]), float(found["delta_ap"][short])) for short, name in KINDS.items()
        }

    def confusion(self, least: float | None) -> Array:
        """Return int64 (K + 1, K + 1), object by detection, of detections with a score of at least `least`, if given.

        The last row and column are the background: what was detected where nothing is, and what was not detected. The
        best detections choose first, whatever their class.
        """
        found = self._evaluation.confusion_matrix(iou_thr=HIT, max_det=self.most, min_score=least)
        matrix: Array = found["matrix"].astype(np.int64)
        return matrix


def mistakes(outcome: Outcome) -> Mistakes:
    """Return the mistakes among what the protocol counts."""
    table = outcome.table
    found = outcomes(table)
    scores, labels = ragged(outcome.predictions, "scores"), ragged(outcome.targets, "labels")
    detections = _rows_of(table, np.concatenate([found.true, found.false]), scores.starts)
    annotations = _rows_of(table, np.concatenate([found.found, found.missed]), labels.starts)
    predictions: Predictions = {
        name: _kept(column, detections)
        for name, column in outcome.predictions.items()
        if name in ("scores", "labels", "xywh", "masks")
    }
    kind = MASKS if scores_masks(outcome.protocol) else BOXES
    targets: dict[str, Any] = {"size": outcome.targets["size"]}
    for name in ("labels", "xywh", "masks") if kind == MASKS else ("labels", "xywh"):
        column = outcome.targets[name]
        targets[name] = _kept(column if name == "masks" else ragged(outcome.targets, name), annotations)
    targets["area"] = _kept(truth_of(outcome.targets, "area"), annotations)
    count = len(annotations)
    starts = ragged(targets, "labels").starts
    targets["crowd"] = Ragged(np.zeros(count, dtype=bool), starts)
    targets["annotation"] = Ragged(np.arange(1, count + 1), starts)
    most = max(1, int(np.diff(ragged(predictions, "scores").starts).max(initial=0)))
    asked = engines.Asked(len(outcome.problem.classes), kind, most)
    return Mistakes(engines.matched_by_hotcoco(predictions, targets, asked), most, any=len(detections) > 0)


def _rows_of(table: Table, rows: Array, starts: Array) -> Array:
    """Return the indices of rows of the table in a ragged column that starts at `starts`, ascending."""
    places: Array = np.sort(starts[table["unit"][rows]] + table["index"][rows])
    return places


def _kept(column: Any, rows: Array) -> Any:
    """Return a ragged column with the values of `rows` only."""
    starts = np.searchsorted(rows, column.starts)
    if isinstance(column, RaggedMasks):
        return RaggedMasks(column.values[rows], starts)
    if isinstance(column, Labels):
        return Labels(column.values[rows], starts, column.published)
    return Ragged(column.values[rows], starts)
