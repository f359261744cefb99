"""Rendered scenes: pairs with exact disparity, and images with exact depth, with sequences to learn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlcvbench.contract import Array, ArraySplit, InputSpec, LoadedData, Problem, Split, fingerprint_columns
from mlcvbench_scenes.dataset import LeftFrames, SceneSettings, baselines, left_frames, stereo_frames
from mlcvbench_scenes.sequences import sequence_frames, sequence_poses

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
    image, and in `meta` their `poses` (T, 4, 4). Validation has the same inputs and keeps its depth, by which it is
    scored. `meta` is the same in every split; otherwise the test split never changes.
    """
    settings = SceneSettings.of(params, data_seed)
    supervision, length = params.get("supervision") or "depth", params.get("frames") or 3
    splits: dict[str, Split] = {}
    for name in settings.splits:
        frames = left_frames(settings, name)
        inputs: dict[str, Array] = {"image": frames.image}
        targets: dict[str, Array] = {"depth": frames.depth}
        meta, further = _camera(frames), _further(settings, name, supervision, length)
        if name == "test":
            splits[name] = _TestSplit(name, inputs, targets, frames.ids, meta, further)
            continue
        if name == "train" and supervision != "depth":
            targets = {}
        if supervision == "stereo":
            inputs["right"] = stereo_frames(settings, name).right
        elif supervision == "sequence":
            inputs["frames"] = sequence_frames(settings, name, length).frames
        splits[name] = ArraySplit(name, inputs, targets, ids=frames.ids, meta={**meta, **further})
    extra = {"field": "depth", "supervision": supervision}
    return LoadedData(dataset, "1", Problem("depth", (), {"image": InputSpec((*settings.size, 3))}, extra), splits)


class _TestSplit(ArraySplit):
    """A test split with facts that training has too: what it is, and so its board, does not depend on supervision."""

    def __init__(
        self,
        name: str,
        inputs: Mapping[str, Array],
        targets: Mapping[str, Array],
        ids: Array,
        meta: Mapping[str, Array],
        further: Mapping[str, Array],
    ) -> None:
        super().__init__(name, inputs, targets, ids=ids, meta={**meta, **further})
        self._alone = ArraySplit(name, inputs, targets, ids=ids, meta=meta)
        self._further = dict(further)

    def fingerprint(self) -> str:
        return self._alone.fingerprint()

    def content(self) -> str:
        return fingerprint_columns(self.ids, self._further) if self._further else ""


def _further(settings: SceneSettings, name: str, supervision: str, length: int) -> dict[str, Array]:
    """Return the facts about a split's scenes that a kind of supervision needs."""
    if supervision == "stereo":
        return {"baseline": baselines(settings, name)}
    return {"poses": sequence_poses(settings, name, length)} if supervision == "sequence" else {}


def _camera(frames: LeftFrames) -> dict[str, Array]:
    return {"intrinsics": np.asarray(frames.intrinsics), "pose": np.asarray(frames.pose)}
