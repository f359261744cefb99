"""Other implementations of COCO's metrics, run on the same checked columns: hotcoco and pycocotools itself."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from mlcvbench.contract import Array, Predictions, Targets
from mlcvbench_detection.geometry.ragged import Ragged, ragged
from mlcvbench_detection.geometry.rle import Masks, coco_objects
from mlcvbench_detection.predictions import RaggedMasks
from mlcvbench_detection.protocols import FEWEST, MASKS
from mlcvbench_detection.truth import truth_of


class Asked(NamedTuple):
    """The request to an engine: the number of classes, `bbox` or `segm`, and the most detections of a class."""

    classes: int
    kind: str
    most: int

    @property
    def limits(self) -> list[int]:
        """The three `maxDets` of COCO's summary."""
        return [1, 10, self.most]


Engine = Callable[[Predictions, Targets, Asked], "list[float | None]"]
"""Maps predictions, targets and the request to COCO's twelve metrics, None where undefined."""


def matched_by_hotcoco(predictions: Predictions, targets: Targets, asked: Asked) -> Any:
    """Return hotcoco's evaluation with detections and annotations matched. It takes arrays, so boxes need no Python
    objects.
    """
    import hotcoco

    labels, images, categories = _frame(targets, asked.classes)
    segmentation = coco_objects(_masks(targets)) if asked.kind == MASKS else None
    truth = hotcoco.COCO.from_arrays(
        images,
        categories,
        labels.units + 1,
        labels.values + 1,
        ragged(targets, "xywh").values,
        ids=truth_of(targets, "annotation").values,
        area=truth_of(targets, "area").values,
        iscrowd=truth_of(targets, "crowd").values.astype(np.int64),
        segmentation=segmentation,
    )
    masks = coco_objects(_masks(predictions)) if asked.kind == MASKS else None
    results = truth.load_res(_rows(predictions), segmentation=masks)
    if _by_mask(predictions, asked.kind) and len(predictions["scores"].values):
        area = _masks(predictions).area().astype(np.float64)
        results.update_anns(ids=np.arange(1, len(area) + 1), area=area)
    evaluation = hotcoco.COCOeval(truth, results, asked.kind)
    if asked.most != FEWEST:
        evaluation.params.max_dets = asked.limits
    evaluation.evaluate()
    return evaluation


def run_hotcoco(predictions: Predictions, targets: Targets, asked: Asked) -> list[float | None]:
    """Return the metrics of hotcoco, a Rust port of pycocotools."""
    evaluation = matched_by_hotcoco(predictions, targets, asked)
    evaluation.accumulate()
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="hotcoco: max_dets differ")  # from COCO's default, by protocol
        evaluation.summarize()
    return _defined(evaluation.stats)


def run_pycocotools(predictions: Predictions, targets: Targets, asked: Asked) -> list[float | None]:
    """Return the metrics of pycocotools, the reference.

    Its summary computes the first metric at 100 detections whatever `maxDets` is, so with another limit it is computed
    from the array behind the other metrics.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth, results = COCO(), COCO()
        _, images, categories = _frame(targets, asked.classes)
        truth.dataset = {"images": images, "categories": categories, "annotations": _annotations(targets, asked.kind)}
        truth.createIndex()
        detected = _results(predictions, asked.kind)
        results.dataset = {"images": images, "categories": categories, "annotations": detected}
        results.createIndex()
        evaluation = COCOeval(truth, results, asked.kind)
        evaluation.params.maxDets = asked.limits
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    if asked.most != FEWEST:
        precision = evaluation.eval["precision"][:, :, :, 0, 2]
        evaluation.stats[0] = np.mean(precision[precision > -1]) if (precision > -1).any() else -1
    return _defined(evaluation.stats)


ENGINES: Mapping[str, Engine] = {"hotcoco": run_hotcoco, "pycocotools": run_pycocotools}
"""By name; the first is the default."""


def _frame(targets: Targets, classes: int) -> tuple[Ragged, list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the annotations' labels, the images and the categories; ids count from 1 in the order of the split."""
    images = [
        {"id": unit + 1, "height": height, "width": width, "file_name": ""}
        for unit, (height, width) in enumerate(np.asarray(targets["size"]).tolist())
    ]
    return ragged(targets, "labels"), images, [{"id": label + 1, "name": str(label)} for label in range(classes)]


def _annotations(targets: Targets, kind: str) -> list[dict[str, Any]]:
    labels, boxes = ragged(targets, "labels"), ragged(targets, "xywh").values.tolist()
    ids, area, crowd = (truth_of(targets, name).values.tolist() for name in ("annotation", "area", "crowd"))
    masks = coco_objects(_masks(targets)) if kind == MASKS else [None] * len(ids)
    return [
        {
            "id": ids[row],
            "image_id": unit + 1,
            "category_id": label + 1,
            "bbox": boxes[row],
            "area": area[row],
            "iscrowd": int(crowd[row]),
            "segmentation": masks[row],
        }
        for row, (unit, label) in enumerate(zip(labels.units.tolist(), labels.values.tolist(), strict=True))
    ]


def _results(predictions: Predictions, kind: str) -> list[dict[str, Any]]:
    scores = predictions["scores"]
    boxes = _boxes(predictions)
    area = _masks(predictions).area() if _by_mask(predictions, kind) else boxes[:, 2] * boxes[:, 3]
    masks = coco_objects(_masks(predictions)) if kind == MASKS else [None] * len(boxes)
    return [
        {
            "id": row + 1,
            "image_id": unit + 1,
            "category_id": label + 1,
            "score": score,
            "bbox": box,
            "area": size,
            "iscrowd": 0,
            "segmentation": mask,
        }
        for row, (unit, label, score, box, size, mask) in enumerate(
            zip(
                scores.units.tolist(),
                predictions["labels"].values.tolist(),
                scores.values.tolist(),
                boxes.tolist(),
                area.tolist(),
                masks,
                strict=True,
            )
        )
    ]


def _rows(predictions: Predictions) -> Array:
    """Return float64 (N, 7): image, x, y, width, height, score, category; ids count from 1."""
    scores, labels = ragged(predictions, "scores"), ragged(predictions, "labels")
    rows = np.empty((len(scores.values), 7))  # filled in place, since stacking would hold all columns twice
    np.add(scores.units, 1, out=rows[:, 0])
    rows[:, 1:5] = _boxes(predictions)
    rows[:, 5] = scores.values
    np.add(labels.values, 1, out=rows[:, 6])
    return rows


def _by_mask(predictions: Predictions, kind: str) -> bool:
    """Return whether the area of a detection is that of its mask."""
    return kind == MASKS or "xywh" not in predictions


def _boxes(predictions: Predictions) -> Array:
    """Return the boxes, those of the masks when there are no others."""
    return ragged(predictions, "xywh").values if "xywh" in predictions else _masks(predictions).boxes()


def _masks(columns: Mapping[str, Any]) -> Masks:
    masks: RaggedMasks = columns["masks"]
    return masks.values


def _defined(stats: Any) -> list[float | None]:
    return [None if value == -1 else float(value) for value in list(stats)[:12]]
