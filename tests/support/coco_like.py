"""A set the size of COCO's validation images with the results of a middling detector, written as JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

HEIGHT, WIDTH = 480, 640


class Files(NamedTuple):
    """The two files of a set."""

    truth: Path
    results: Path


def write_boxes(folder: Path, images: int = 5000, detections: int = 100, classes: int = 80, seed: int = 0) -> Files:
    """Write about 6.7 annotations and exactly `detections` results an image; some classes are far more frequent."""
    rng = np.random.default_rng(seed)
    share = 1 / (np.arange(classes) + 3.0) ** 0.9
    share[0] += share.sum() * 0.3
    share /= share.sum()
    counts = np.minimum(rng.gamma(0.9, 8.0, images).astype(int), 63)
    unit = np.repeat(np.arange(images), counts)
    label = rng.choice(classes, len(unit), p=share)
    boxes = _boxes(rng, len(unit))
    crowd = rng.random(len(unit)) < 0.012
    truth, results = folder / "truth.json", folder / "results.json"
    truth.write_text(json.dumps(_annotations(images, classes, unit, label, boxes, crowd)), encoding="utf-8")
    found = rng.random(len(unit)) < 0.88
    copies = np.repeat(np.flatnonzero(found), 1 + rng.poisson(1.2, int(found.sum())))
    quality = rng.beta(4, 2, len(copies))
    spread = ((1 - quality) * 0.28 + 0.01)[:, None] * boxes[copies][:, [2, 3, 2, 3]]
    near = boxes[copies] + rng.normal(0, 1, (len(copies), 4)) * spread
    near[:, 2:] = np.maximum(near[:, 2:], 2)
    seen = np.where(rng.random(len(copies)) > 0.15, label[copies], rng.choice(classes, len(copies), p=share))
    total = images * detections
    lines = _Results(
        np.concatenate([unit[copies], np.repeat(np.arange(images), detections)]),
        np.concatenate([seen, rng.choice(classes, total, p=share)]),
        np.concatenate([quality, rng.beta(1, 9, total) * 0.6]),
        np.concatenate([near, _boxes(rng, total)]),
    )
    results.write_text(lines.text(detections), encoding="utf-8")
    return Files(truth, results)


def write_masks(folder: Path, images: int = 100, detections: int = 60, classes: int = 80, seed: int = 0) -> Files:
    """Write a set as of `write_boxes` with masks of ragged outlines instead of boxes, compressed in both files."""
    files = write_boxes(folder, images, detections, classes, seed)
    truth, results = (json.loads(file.read_text(encoding="utf-8")) for file in files)
    rng = np.random.default_rng(seed)
    for one in (*truth["annotations"], *results):
        one["segmentation"] = _ragged_mask(rng, one["bbox"])
    for one in results:
        del one["bbox"]
    files.truth.write_text(json.dumps(truth), encoding="utf-8")
    files.results.write_text(json.dumps(results), encoding="utf-8")
    return files


def _ragged_mask(rng: np.random.Generator, box: list[float], corners: int = 24) -> dict[str, object]:
    """Return the mask of a star in a box, as COCO's compressed object."""
    from pycocotools import mask

    x, y, width, height = box
    angle, radius = np.sort(rng.random(corners)) * 2 * np.pi, rng.uniform(0.6, 1, corners) / 2
    across = np.clip(x + width * (0.5 + radius * np.cos(angle)), 0, WIDTH)
    down = np.clip(y + height * (0.5 + radius * np.sin(angle)), 0, HEIGHT)
    drawn = mask.frPyObjects([np.stack([across, down], axis=1).ravel().round(2).tolist()], HEIGHT, WIDTH)[0]
    return {"size": drawn["size"], "counts": drawn["counts"].decode()}


class _Results(NamedTuple):
    unit: np.ndarray
    label: np.ndarray
    score: np.ndarray
    box: np.ndarray

    def text(self, most: int) -> str:
        """Return the results of each image by descending score, `most` of each, as Python writes them."""
        order = np.lexsort((-self.score, self.unit))
        unit = self.unit[order]
        place = np.arange(len(unit)) - np.searchsorted(unit, unit)
        order = order[place < most]
        rows = zip(
            (self.unit[order] * 7 + 139).tolist(),
            (self.label[order] + 1).tolist(),
            self.score[order].round(5).tolist(),
            self.box[order].round(2).tolist(),
            strict=True,
        )
        parts = (f'{{"image_id": {i}, "category_id": {c}, "score": {s}, "bbox": {b}}}' for i, c, s, b in rows)
        return f"[{', '.join(parts)}]"


def _annotations(  # the columns of the annotations
    images: int, classes: int, unit: np.ndarray, label: np.ndarray, boxes: np.ndarray, crowd: np.ndarray
) -> dict[str, object]:
    rounded = boxes.round(2)
    corners = np.concatenate([rounded[:, :2], rounded[:, :2] + rounded[:, 2:]], axis=1).round(2)
    outline = corners[:, [0, 1, 2, 1, 2, 3, 0, 3]].tolist()
    return {
        "images": [
            {"id": 7 * image + 139, "height": HEIGHT, "width": WIDTH, "file_name": f"{image:012d}.jpg"}
            for image in range(images)
        ],
        "categories": [{"id": number + 1, "name": f"class {number}"} for number in range(classes)],
        "annotations": [
            {
                "id": row + 1,
                "image_id": 7 * int(unit[row]) + 139,
                "category_id": int(label[row]) + 1,
                "bbox": box,
                "area": round(box[2] * box[3], 2),
                "iscrowd": int(crowd[row]),
                "segmentation": [outline[row]],
            }
            for row, box in enumerate(rounded.tolist())
        ],
    }


def _boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return xywh boxes, about 41 / 34 / 25 % small, medium and large."""
    side = np.exp(rng.normal(3.85, 1.05, count)).clip(4, 470)
    ratio = np.exp(rng.normal(0, 0.45, count))
    size = np.stack([side * np.sqrt(ratio), side / np.sqrt(ratio)], axis=1).clip(3, [WIDTH - 2, HEIGHT - 2])
    return np.concatenate([rng.random((count, 2)) * ([WIDTH, HEIGHT] - size), size], axis=1)
