"""Toy data for the conformance kit: a textured ground and squares before it, seen by one or two cameras."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlcvbench.contract import Array, ArraySplit, Column, InputSpec, LoadedData, Problem, Split
from mlcvbench.testing.toy import FEW, SIZES

PLAIN = (48, 96)
DISPARITIES = 16
"""The search range; disparities stay below it."""
FOCAL_PX, BASELINE_M = 80.0, 0.1


@dataclass(frozen=True, slots=True)
class _Toy:
    """What is drawn: `shapes` of one scene after another; `unknown`: every second scene has no known pixel.

    `supervision` says what training sees, as for the data set `scenes-mono`.
    """

    sizes: Mapping[str, int]
    shapes: Sequence[tuple[int, int]] = (PLAIN,)
    unknown: bool = False
    supervision: str = "depth"


class _Scene:
    """A ground and squares before it; each layer has a texture and a disparity in whole pixels."""

    def __init__(self, size: tuple[int, int], generator: np.random.Generator) -> None:
        self.size = height, width = size
        # The ground goes on beyond both borders, where the other cameras look.
        ground = generator.integers(30, 226, size=(height, width + 2 * DISPARITIES, 3))
        self.layers = [(0, -DISPARITIES, 4, ground)]  # top, left, disparity, texture
        for disparity in (7, 10, 13):
            side = max(2, min(size) // 3)
            top, left = int(generator.integers(height - side + 1)), int(generator.integers(width - side + 1))
            self.layers.append((top, left, disparity, generator.integers(30, 226, size=(side, side, 3))))

    def view(self, place: int) -> tuple[Array, Array]:
        """Return image uint8 (H, W, 3) and layer (H, W) from `place` baselines to the right of the left camera."""
        height, width = self.size
        image, owner = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.int64)
        for index, (top, left, disparity, texture) in enumerate(self.layers):
            start = left - place * disparity
            first, last = max(0, start), min(width, start + texture.shape[1])
            image[top : top + len(texture), first:last] = texture[:, first - start : last - start]
            owner[top : top + len(texture), first:last] = index
        return image, owner

    def disparity(self) -> Array:
        """Return the disparity of the left image's pixels, float32 (H, W)."""
        of_layer = np.array([disparity for _, _, disparity, _ in self.layers], dtype=np.float32)
        values: Array = of_layer[self.view(0)[1]]
        return values

    def occluded(self) -> Array:
        """Return which pixels of the left image the right camera does not see, bool (H, W)."""
        own, other = self.view(0)[1], self.view(1)[1]
        rows, columns = np.indices(self.size)
        there = columns - self.disparity().astype(np.int64)
        hidden: Array = (there < 0) | (other[rows, np.maximum(there, 0)] != own)
        return hidden


def toys(needs: Collection[str]) -> dict[str, LoadedData]:
    """Return rectified pairs with disparity for a model that needs `right`, else images with depth."""
    if not set(needs) <= {"left", "right"} and not set(needs) <= {"image"}:
        return {}
    made = {
        "toy": _Toy(SIZES),
        "images of 37x61": _Toy(FEW, ((37, 61),)),
        "images without known pixels": _Toy(FEW, unknown=True),
        "images of unequal size": _Toy(FEW, (PLAIN, (37, 61), (64, 50))),
    }
    if "right" in needs:
        return {name: _stereo(toy) for name, toy in made.items()}
    made["training on pairs without depth"] = _Toy(FEW, supervision="stereo")
    made["training on sequences without depth"] = _Toy(FEW, supervision="sequence")
    return {name: _mono(toy) for name, toy in made.items()}


def _stereo(toy: _Toy) -> LoadedData:
    splits: dict[str, Split] = {}
    for name, scenes in _scenes(toy).items():
        inputs = {"left": [one.view(0)[0] for one in scenes], "right": [one.view(1)[0] for one in scenes]}
        targets = {"disparity": [one.disparity() for one in scenes], "occluded": [one.occluded() for one in scenes]}
        splits[name] = _split(name, toy, scenes, inputs, targets)
    extra = {"field": "disparity", "disparities": DISPARITIES, "trained": True}
    spec = _spec(toy)
    return LoadedData("toy", "1", Problem("depth", (), {"left": spec, "right": spec}, extra), splits)


def _mono(toy: _Toy) -> LoadedData:
    splits: dict[str, Split] = {}
    for name, scenes in _scenes(toy).items():
        inputs, meta = {"image": [one.view(0)[0] for one in scenes]}, {}
        targets = {"depth": [(FOCAL_PX * BASELINE_M / one.disparity()).astype(np.float32) for one in scenes]}
        if name == "train" and toy.supervision != "depth":
            targets = {}
        if name != "test" and toy.supervision == "stereo":
            inputs["right"] = [one.view(1)[0] for one in scenes]
        if toy.supervision == "sequence":
            meta["poses"] = np.tile(np.stack([_pose(place) for place in (-1, 0, 1)]), (len(scenes), 1, 1, 1))
            if name != "test":
                inputs["frames"] = [np.stack([one.view(place)[0] for place in (-1, 0, 1)]) for one in scenes]
        splits[name] = _split(name, toy, scenes, inputs, targets, meta)
    extra = {"field": "depth", "supervision": toy.supervision}
    return LoadedData("toy", "1", Problem("depth", (), {"image": _spec(toy)}, extra), splits)


def _scenes(toy: _Toy) -> dict[str, list[_Scene]]:
    generator = np.random.default_rng(0)
    return {
        name: [_Scene(toy.shapes[row % len(toy.shapes)], generator) for row in range(count)]
        for name, count in toy.sizes.items()
    }


def _split(
    name: str,
    toy: _Toy,
    scenes: Sequence[_Scene],
    inputs: Mapping[str, list[Array]],
    targets: Mapping[str, list[Array]],
    meta: Mapping[str, Array] | None = None,
) -> Split:
    """Return the split; the maps of every second scene hold 0, unknown, if the toy says so."""
    known = {
        field: [np.zeros_like(one) if toy.unknown and row % 2 else one for row, one in enumerate(maps)]
        for field, maps in targets.items()
    }
    intrinsics = [[[FOCAL_PX, 0, one.size[1] / 2], [0, FOCAL_PX, one.size[0] / 2], [0, 0, 1]] for one in scenes]
    camera = {
        "intrinsics": np.array(intrinsics),
        "pose": np.tile(_pose(0), (len(scenes), 1, 1)),
        "baseline": np.full(len(scenes), BASELINE_M),
    }
    ids = [f"{name}-{index:03d}" for index in range(len(scenes))]
    return ArraySplit(name, _columns(inputs), _columns(known), ids=ids, meta={**camera, **(meta or {})})


def _columns(values: Mapping[str, list[Array]]) -> dict[str, Column]:
    """Return arrays (N, ...) where all values of a column are of one shape, lists elsewhere."""
    return {
        name: np.stack(column) if len({one.shape for one in column}) == 1 else column for name, column in values.items()
    }


def _pose(place: int) -> Array:
    """Return the pose of a camera `place` baselines to the right, camera to world, (4, 4)."""
    pose = np.eye(4)
    pose[0, 3] = place * BASELINE_M
    return pose


def _spec(toy: _Toy) -> InputSpec:
    return InputSpec((*(toy.shapes[0] if len(toy.shapes) == 1 else (None, None)), 3))
