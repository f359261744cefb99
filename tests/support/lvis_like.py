"""Federated sets as LVIS publishes them: each image was checked for some of the classes only."""

from __future__ import annotations

from typing import Any

import numpy as np
from support.detection import HEIGHT, WIDTH, random_case

Scene = dict[str, Any]
Results = list[dict[str, Any]]


def federated_case(seed: int, images: int = 12, classes: int = 6, detections: int = 20) -> tuple[Scene, Results]:
    """Return a scene of `random_case` with what LVIS adds, and results.

    Categories have a frequency, images say which classes were looked for and which are not annotated in full, and some
    annotations have `ignore`. Results of classes that were not looked for are among the others.
    """
    scene, results = random_case(seed, images, classes, detections=detections)
    rng = np.random.default_rng(seed + 1000)
    known = [category["id"] for category in scene["categories"]]
    for place, category in enumerate(scene["categories"]):
        category["frequency"] = "rcf"[place % 3]
    for image in scene["images"]:
        annotated = {one["category_id"] for one in scene["annotations"] if one["image_id"] == image["id"]}
        others = [label for label in known if label not in annotated]
        image["neg_category_ids"] = [label for label in others if rng.random() < 0.5]
        image["not_exhaustive_category_ids"] = [label for label in sorted(annotated) if rng.random() < 0.3]
    for one in scene["annotations"]:
        del one["iscrowd"]
        x, y, width, height = one["bbox"]
        one["segmentation"] = [[x, y, x + width, y, x + width, y + height, x, y + height]]
        if rng.random() < 0.1:
            one["ignore"] = 1
    return scene, results


def as_masks(results: Results) -> Results:
    """Return results with the masks of their boxes in place of the boxes."""
    from pycocotools import mask

    masked = []
    for one in results:
        x, y, width, height = one["bbox"]
        left, top = max(0, round(x)), max(0, round(y))
        drawn = np.zeros((HEIGHT, WIDTH), dtype=np.uint8, order="F")
        drawn[top : max(top + 1, round(y + height)), left : max(left + 1, round(x + width))] = 1
        code = mask.encode(drawn)
        kept = {name: value for name, value in one.items() if name != "bbox"}
        masked.append({**kept, "segmentation": {"size": list(code["size"]), "counts": code["counts"].decode()}})
    return masked
