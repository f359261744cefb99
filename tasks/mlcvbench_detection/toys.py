"""Toy data for the conformance kit: three kinds of shapes on noise, with boxes and masks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlcvbench.contract import ArraySplit, Column, InputSpec, LoadedData, Problem, Split
from mlcvbench.testing.drawing import SHAPES, Drawn, draw
from mlcvbench.testing.toy import FEW, SIZES
from mlcvbench_detection.geometry.ragged import Ragged, starts_of
from mlcvbench_detection.geometry.rle import Masks, encode_dense
from mlcvbench_detection.predictions import RaggedMasks

PLAIN = (64, 64)
SMALL = 6
"""Pixels of an object's side where there are many."""


@dataclass(frozen=True, slots=True)
class _Toy:
    """What is drawn: `shapes` of one image after another, `objects` in one image after another."""

    sizes: Mapping[str, int]
    shapes: Sequence[tuple[int, int]] = (PLAIN,)
    objects: Sequence[int] = (1, 2, 4)
    masks: bool = True


def toys(needs: Collection[str]) -> dict[str, LoadedData]:
    """Return colour images with annotated objects; none for other inputs than images."""
    if not set(needs) <= {"image"}:
        return {}
    made = {
        "toy": _Toy(SIZES),
        "boxes without masks": _Toy(FEW, masks=False),
        "images of 16x16": _Toy(FEW, ((16, 16),)),
        "images of 37x61": _Toy(FEW, ((37, 61),)),
        "images without objects": _Toy(FEW, objects=(0, 0, 0, 2)),
        "no object in any image": _Toy(FEW, objects=(0,)),
        "200 objects in an image": _Toy(FEW, objects=(200, 1)),
        "images of unequal size": _Toy(FEW, ((64, 64), (37, 61), (80, 48))),
    }
    return {name: _load(toy) for name, toy in made.items()}


def _load(toy: _Toy) -> LoadedData:
    generator = np.random.default_rng(0)
    splits: dict[str, Split] = {}
    for name, count in toy.sizes.items():
        drawn = []
        for row in range(count):
            objects = toy.objects[row % len(toy.objects)]
            side = SMALL if objects > 9 else None
            drawn.append(draw(toy.shapes[row % len(toy.shapes)], objects, generator, side))
        targets = annotate(drawn, toy.masks)
        images = [one.image for one in drawn]
        column: Column = np.stack(images) if len(toy.shapes) == 1 else images
        ids = [f"{name}-{index:03d}" for index in range(count)]
        splits[name] = ArraySplit(name, {"image": column}, targets, ids=ids, meta={"size": targets["size"]})
    size = toy.shapes[0] if len(toy.shapes) == 1 else (None, None)
    extra = {"category_ids": tuple(range(1, len(SHAPES) + 1)), "masks": toy.masks}
    return LoadedData("toy", "1", Problem("detection", SHAPES, {"image": InputSpec((*size, 3))}, extra), splits)


def annotate(drawn: Sequence[Drawn], masks: bool) -> dict[str, Any]:
    """Return the targets of a COCO file for some pictures; the first object of every third one is a crowd."""
    encoded = [encode_dense(one.masks) for one in drawn]
    starts = starts_of(np.array([len(one.labels) for one in drawn], dtype=np.int64))
    crowd = [np.arange(len(one.labels)) < (row % 3 == 2) for row, one in enumerate(drawn)]
    objects = Masks.join(encoded)
    columns = {
        "xywh": objects.boxes(),
        "labels": np.concatenate([one.labels for one in drawn]),
        "area": objects.area().astype(np.float64),
        "crowd": np.concatenate(crowd),
        "annotation": np.arange(1, starts[-1] + 1),
    }
    targets: dict[str, Any] = {name: Ragged(values, starts) for name, values in columns.items()}
    targets["size"] = np.array([one.image.shape[:2] for one in drawn], dtype=np.int64)
    if masks:
        targets["masks"] = RaggedMasks(objects, starts)
    return targets
