"""Rendered scenes: pairs with exact disparity, and images with exact depth, with sequences to learn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlcvbench.contract import Array, ArraySplit, InputSpec, LoadedData, Problem, Split
from mlcvbench_scenes.dataset import LeftFrames, SceneSettings, left_frames, stereo_frames
from mlcvbench_scenes.sequences import sequence_frames

SEARCHED = 4
"""Disparities stay below the image's width over `SEARCHED`: nothing is nearer than a metre."""
STEP = 16
"""Search ranges are multiples of it, as OpenCV's matchers want."""
SUPERVISIONS = ("depth", "stereo", "sequence", "none")


def load_scenes_stereo(params: Mapping[str, Any], data_seed: int) -> LoadedData:
    """Return rectified pairs with the splits train, val and test; `data_seed` says which scenes.

    Inputs `left` and `right` uint8 (H, W, 3); targets `disparity` float32 (H, W) px, known everywhere, and `occluded`
    bool (H, W), what the right camera does not see. `meta`: `intrinsics` 3x3 px, `baseline` m, `pose` 4x4.
    """
    settings = SceneSettings.of(params, data_seed)
    splits: dict[str, Split] = {}
    for name in settings.splits:
        pairs = stereo_frames(settings, name)
        splits[name] = ArraySplit(
            name,
            {"left": pairs.left.image, "right": pairs.right},
            {"disparity": pairs.disparity, "occluded": pairs.occluded},
            ids=pairs.left.ids,
            meta={**_camera(pairs.left), "baseline": pairs.baseline},
        )
    reach = -(-settings.size[1] // SEARCHED)
    extra = {
        "field": "disparity",
        "disparities": params.get("disparities") or -(-reach // STEP) * STEP,
        "trained": "train" in splits,
    }
    shape = InputSpec((*settings.size, 3))
    return LoadedData("scenes-stereo", "1", Problem("depth", (), {"left": shape, "right": shape}, extra), splits)


def load_scenes_mono(params: Mapping[str, Any], data_seed: int) -> LoadedData:
    """Return the data set `scenes-mono`, see `load_mono`: every camera stands and looks alike."""
    return load_mono("scenes-mono", params, data_seed)


def load_scenes_mono_varied(params: Mapping[str, Any], data_seed: int) -> LoadedData:
    """Return the data set `scenes-mono-varied`, see `load_mono`: each scene has a camera of its own."""
    return load_mono("scenes-mono-varied", {**params, "cameras": "varied"}, data_seed)


def load_mono(dataset: str, params: Mapping[str, Any], data_seed: int) -> LoadedData:
    """Return images with depth and the splits train, val and test; `data_seed` says which scenes.

    Input `image` uint8 (H, W, 3), target `depth` float32 (H, W) metres, known everywhere. `meta`: `intrinsics` 3x3 px,
    `pose` 4x4. `supervision` says what training sees: `depth` the target, the others none, instead `stereo` the input
    `right` and in `meta` the `baseline`, `sequence` the input `frames` (T, H, W, 3), of which frame T // 2 is the
    image, and in `meta` their `poses` (T, 4, 4). The test split never changes.
    """
    settings = SceneSettings.of(params, data_seed)
    supervision, length = params.get("supervision") or "depth", params.get("frames") or 3
    splits: dict[str, Split] = {}
    for name in settings.splits:
        frames = left_frames(settings, name)
        inputs: dict[str, Array] = {"image": frames.image}
        targets: dict[str, Array] = {"depth": frames.depth}
        meta = _camera(frames)
        if name != "test" and supervision != "depth":
            targets = {}
            if supervision == "stereo":
                pairs = stereo_frames(settings, name)
                inputs["right"], meta["baseline"] = pairs.right, pairs.baseline
            elif supervision == "sequence":
                walks = sequence_frames(settings, name, length)
                inputs["frames"], meta["poses"] = walks.frames, walks.poses
        splits[name] = ArraySplit(name, inputs, targets, ids=frames.ids, meta=meta)
    extra = {"field": "depth", "supervision": supervision}
    return LoadedData(dataset, "1", Problem("depth", (), {"image": InputSpec((*settings.size, 3))}, extra), splits)


def _camera(frames: LeftFrames) -> dict[str, Array]:
    return {"intrinsics": np.asarray(frames.intrinsics), "pose": np.asarray(frames.pose)}
