"""Toy data for the conformance kit: three kinds of shapes on noise, with a class for every pixel."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlcvbench.contract import Array, ArraySplit, Column, InputSpec, LoadedData, Problem, Split
from mlcvbench.testing.drawing import SHAPES, Drawn, draw
from mlcvbench.testing.toy import FEW, SIZES
from mlcvbench_segmentation.counting import IGNORE

CLASSES = ("ground", *SHAPES)
PLAIN = (48, 64)


@dataclass(frozen=True, slots=True)
class _Toy:
    """What is drawn: `shapes` of one image after another, `unlabelled` every second image has no known pixel."""

    sizes: Mapping[str, int]
    shapes: Sequence[tuple[int, int]] = (PLAIN,)
    objects: int = 3
    unlabelled: bool = False


def toys(needs: Collection[str]) -> dict[str, LoadedData]:
    """Return colour images (H, W, 3), or maps of depth (H, W) in metres for a model that needs them."""
    if not set(needs) <= {"image"} and set(needs) != {"depth"}:
        return {}
    made = {
        "toy": _Toy(SIZES),
        "images of 9x31": _Toy(FEW, ((9, 31),)),
        "images of one class": _Toy(FEW, objects=0),
        "images without known pixels": _Toy(FEW, unlabelled=True),
        "200 objects in an image": _Toy(FEW, objects=200),
        "images of unequal size": _Toy(FEW, ((37, 61), (48, 64), (64, 33))),
    }
    return {name: _load(toy, "depth" if "depth" in needs else "image") for name, toy in made.items()}


def _load(toy: _Toy, kind: str) -> LoadedData:
    generator = np.random.default_rng(0)
    side = 5 if toy.objects > 9 else None
    splits: dict[str, Split] = {}
    for name, count in toy.sizes.items():
        drawn = [draw(toy.shapes[row % len(toy.shapes)], toy.objects, generator, side) for row in range(count)]
        images = [_distance(one, generator) if kind == "depth" else one.image for one in drawn]
        maps = [_labels(one) for one in drawn]
        for one in maps[1::2] if toy.unlabelled else ():
            one[:] = IGNORE
        ids = [f"{name}-{index:03d}" for index in range(count)]
        splits[name] = ArraySplit(name, {kind: _column(images)}, {"label_map": _column(maps)}, ids=ids)
    size = toy.shapes[0] if len(toy.shapes) == 1 else (None, None)
    spec = InputSpec(size, "float32") if kind == "depth" else InputSpec((*size, 3))
    return LoadedData("toy", "1", Problem("segmentation", CLASSES, {kind: spec}), splits)


def _labels(drawn: Drawn) -> Array:
    """Return the class of each pixel, uint8 (H, W), and `IGNORE` in the first row, where nothing is known."""
    labels = np.zeros(drawn.image.shape[:2], dtype=np.uint8)
    for mask, label in zip(drawn.masks, drawn.labels, strict=True):
        labels[mask] = label + 1
    labels[0] = IGNORE
    return labels


def _distance(drawn: Drawn, generator: np.random.Generator) -> Array:
    """Return depth in metres, float32 (H, W): each object stands before the ground, its class by its distance."""
    depth = np.full(drawn.image.shape[:2], 4.0) + generator.normal(0, 0.01, drawn.image.shape[:2])
    for mask, label in zip(drawn.masks, drawn.labels, strict=True):
        depth[mask] -= 1 + label / 2
    return depth.astype(np.float32)


def _column(values: list[Array]) -> Column:
    return np.stack(values) if len({value.shape for value in values}) == 1 else values
