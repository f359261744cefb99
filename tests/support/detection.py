"""Detection scenes as COCO files, scored by us and by pycocotools from the same JSON."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from support.paths import FIXTURES

from mlcvbench.contract import Predictions, Problem, Split, Table
from mlcvbench.running.scoring import tabulate
from mlcvbench_detection.coco.annotations import load_coco
from mlcvbench_detection.coco.scoring import CocoScorer
from mlcvbench_detection.protocols import coco_protocol
from mlcvbench_detection.task import DetectionTask

VAL100 = FIXTURES / "coco_val2014_100"
EDGE_CASES = FIXTURES / "coco_edge_cases"
HEIGHT, WIDTH = 240, 320


class Case(NamedTuple):
    """Everything a test may look at after predictions were read."""

    scorer: CocoScorer
    split: Split
    predictions: Predictions
    problem: Problem

    def table(self, shards: int = 1) -> Table:
        return tabulate(self.scorer, self.predictions, self.split.targets(), len(self.split), shards=shards)

    def values(self, shards: int = 1) -> list[float | None]:
        return list(self.scorer.summarise(self.table(shards)).values())


def read_case(annotations: Path, results: Path, kind: str = "bbox", most: int = 100) -> Case:
    """Read both files the way `mlcvbench score` does."""
    data = load_coco({"annotations": str(annotations), "masks": kind == "segm"}, 0)
    split, task = data.splits["test"], DetectionTask()
    predictions = task.read_external(results, split, data.problem, {}).predictions
    scorer = task.scorer(coco_protocol(kind, most), data.problem)
    assert isinstance(scorer, CocoScorer)
    return Case(scorer, split, predictions, data.problem)


def write_case(
    folder: Path, scene: dict[str, Any], results: list[dict[str, Any]], kind: str = "bbox", most: int = 100
) -> Case:
    """Write a scene and results as files, then read them."""
    truth, detected = folder / "truth.json", folder / "results.json"
    truth.write_text(json.dumps(scene), encoding="utf-8")
    detected.write_text(json.dumps(results), encoding="utf-8")
    return read_case(truth, detected, kind, most)


def official(
    scene: dict[str, Any], results: list[dict[str, Any]], kind: str = "bbox", most: int = 100
) -> list[float | None]:
    """Return pycocotools' twelve numbers, -1 as None, from the published objects themselves.

    The areas of masks are those of masks, as in COCO's own form of submission, which has no boxes beside them. `most`:
    the last of `maxDets`; the first number is then taken from the array of the others, not at 100 as it is printed.
    """
    from pycocotools import mask
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = copy.deepcopy(scene)
        truth.createIndex()
        if results:
            detected = truth.loadRes(copy.deepcopy(results))
        else:  # `loadRes` looks at the first result, so it cannot take none
            detected = COCO()
            detected.dataset = {**truth.dataset, "annotations": []}
            detected.createIndex()
        for found in detected.dataset["annotations"] if kind == "segm" else ():
            found["area"] = float(mask.area(detected.annToRLE(found)))
        evaluation = COCOeval(truth, detected, kind)
        evaluation.params.maxDets = [1, 10, most]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = evaluation.eval["precision"][:, :, :, 0, 2]
    evaluation.stats[0] = np.mean(precision[precision > -1]) if (precision > -1).any() else -1
    return [None if value == -1 else float(value) for value in evaluation.stats]


def scene(
    annotations: Sequence[dict[str, Any]], images: int = 3, classes: int = 2, first_id: int = 1
) -> dict[str, Any]:
    """Return a COCO data set; annotations get ids from `first_id` and what else is missing."""
    return {
        "images": [
            {"id": 10 * image + 1, "height": HEIGHT, "width": WIDTH, "file_name": f"{image}.png"}
            for image in range(images)
        ],
        "categories": [{"id": 3 * label + 1, "name": f"class{label}"} for label in range(classes)],
        "annotations": [
            {"id": first_id + row, "iscrowd": 0, "area": given["bbox"][2] * given["bbox"][3], **given}
            for row, given in enumerate(annotations)
        ],
    }


def random_case(  # the counts describe the scene
    seed: int, images: int = 12, classes: int = 4, per_image: int = 6, detections: int = 20, score_steps: int = 0
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a scene with crowds and every size, and results that hit, miss and repeat; tied scores on request."""
    rng = np.random.default_rng(seed)
    annotations, results = [], []
    for image in range(images):
        boxes = _boxes(rng, rng.integers(0, per_image + 1))
        for box in boxes:
            label = int(rng.integers(classes))
            annotations.append(
                {
                    "image_id": 10 * image + 1,
                    "category_id": 3 * label + 1,
                    "bbox": box.tolist(),
                    "area": float(box[2] * box[3] * rng.uniform(0.4, 1)),
                    "iscrowd": int(rng.random() < 0.1),
                }
            )
            for _ in range(rng.integers(0, 4)):
                near = box + rng.normal(0, 0.12, 4) * np.array([box[2], box[3], box[2], box[3]])
                seen = label if rng.random() < 0.85 else int(rng.integers(classes))
                results.append(_result(image, seen, np.maximum(near, [-20, -20, 1, 1]), rng, score_steps))
        results += [
            _result(image, int(rng.integers(classes)), box, rng, score_steps)
            for box in _boxes(rng, rng.integers(0, detections))
        ]
    return scene(annotations, images, classes), results


def _boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    size = np.exp(rng.normal(3.6, 1.0, (count, 2))).clip(2, 200)
    corner = rng.random((count, 2)) * (np.array([WIDTH, HEIGHT]) - size).clip(1)
    return np.round(np.concatenate([corner, size], axis=1), 2)


def _result(image: int, label: int, box: np.ndarray, rng: np.random.Generator, steps: int) -> dict[str, Any]:
    score = float(rng.random()) if not steps else float(rng.integers(steps)) / steps
    return {
        "image_id": 10 * image + 1,
        "category_id": 3 * label + 1,
        "bbox": np.round(box, 2).tolist(),
        "score": score,
    }
