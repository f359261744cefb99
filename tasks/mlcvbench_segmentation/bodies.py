"""People before a depth camera, with the body part of every pixel, after Shotton et al. (CVPR 2011).

As there, the person is segmented beforehand, and the task is to label each pixel of the person: the definition's
protocol, `class-accuracy/...`, ranks by the paper's average per-class accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlcvbench.contract import ArraySplit, InputSpec, LoadedData, Problem
from mlcvbench.contract.split import fingerprint_columns
from mlcvbench_scenes.bodies import PARTS, render_body
from mlcvbench_scenes.cached import Arrays, kept
from mlcvbench_scenes.dataset import BLOCK, FIRST_NUMBER, SceneSettings, scene_ids
from mlcvbench_segmentation.counting import ignore_value

SIZE = (96, 96)


class BodySplit(ArraySplit):
    """People with the cameras that saw them.

    The cameras are no part of the fingerprint: they follow from the size of the images, and runs from before the data
    told them are runs on the same data.
    """

    def fingerprint(self) -> str:
        if self._digest is None:
            self._digest = fingerprint_columns(self.ids, self._inputs, self._targets)
        return self._digest


def load_bodies(params: Mapping[str, Any], data_seed: int) -> LoadedData:
    """Return people with the splits train, val and test; no body shape and no pose occurs twice.

    Inputs `depth` float32 (H, W) in metres, 0 = no measurement; targets `label_map` uint8 (H, W), left and right being
    the person's own. A pixel without a measurement is not scored (255), since nothing is known there. `meta`:
    `intrinsics` float64 3x3 px of each camera; the centre of a pixel has whole numbers.

    - `background=removed`: only the person is measured, everything else is 0; the classes are the 11 parts.
    - `background=kept`: ground and wall are measured too, and `background` is a class, the first one.
    """
    settings = SceneSettings.of({"size": SIZE, **params}, data_seed)
    removed = params.get("background", "removed") == "removed"
    classes = PARTS[1:] if removed else PARTS
    splits = {}
    for name in settings.splits:
        drawn = _draw(settings, name)
        depth, parts = drawn["depth"], drawn["parts"]
        if removed:
            depth = np.where(parts > 0, depth, np.float32(0))
            parts = parts - np.uint8(1)  # the background wraps round to 255; it has no depth now, so it is not scored
        labels = np.where(depth > 0, parts, np.uint8(ignore_value(len(classes))))
        inputs, targets, meta = {"depth": depth}, {"label_map": labels}, {"intrinsics": drawn["intrinsics"]}
        splits[name] = BodySplit(name, inputs, targets, ids=scene_ids(settings, name), meta=meta)
    extra = {"sparse": True} if removed else {}
    problem = Problem("segmentation", classes, {"depth": InputSpec(settings.size, "float32")}, extra)
    return LoadedData("bodies", "1", problem, splits)


def _draw(settings: SceneSettings, split: str) -> Arrays:
    """Return `depth` and `parts` (N, H, W) and `intrinsics` (N, 3, 3) of a split, in blocks from the cache."""
    first, count = FIRST_NUMBER[split], settings.counts[split]
    blocks = []
    for start in range(first, first + count, BLOCK):
        numbers = range(start, min(start + BLOCK, first + count))
        params = {"level": settings.level, "size": list(settings.size), "seed": settings.seed}
        params["numbers"] = [numbers.start, numbers.stop]
        blocks.append(kept("body-frames", params, lambda own=numbers: _render(settings, own)))  # type: ignore[misc]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _render(settings: SceneSettings, numbers: range) -> Arrays:
    frames = [render_body(settings.seed, number, settings.level, size=settings.size) for number in numbers]
    return {
        "depth": np.stack([frame.depth for frame in frames]),
        "parts": np.stack([frame.parts for frame in frames]),
        "intrinsics": np.stack([frame.camera.intrinsics for frame in frames]),
    }
