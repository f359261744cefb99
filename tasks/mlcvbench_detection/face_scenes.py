"""Rendered scenes with people's heads in them: one class, faces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlcvbench.contract import InputSpec, LoadedData, Problem, Split
from mlcvbench_detection.geometry.boxes import to_xywh
from mlcvbench_detection.geometry.ragged import Ragged, starts_of
from mlcvbench_detection.scenes import PictureSplit
from mlcvbench_scenes.face_scenes import FaceFrames, FaceSettings, face_frames

CLASSES = ("face",)


def load_face_scenes(params: Mapping[str, Any], data_seed: int) -> LoadedData:
    """Return scenes with faces, with the splits train, val and test; `data_seed` says which scenes and people.

    Inputs `image` uint8 (H, W, 3). Targets are those of a COCO file (`DetectionSplit`), without masks; a box is the
    tight bound of a head. No head hides another one or is cut off, and none is a crowd.
    """
    settings = FaceSettings.of(params, data_seed)
    splits: dict[str, Split] = {}
    for name in settings.splits:
        frames = face_frames(settings, name)
        splits[name] = PictureSplit(name, frames.ids, annotate(frames), frames.image, CLASSES)
    extra = {"category_ids": (1,), "masks": False}
    problem = Problem("detection", CLASSES, {"image": InputSpec((*settings.size, 3))}, extra)
    return LoadedData("face-scenes", "1", problem, splits)


def annotate(frames: FaceFrames) -> dict[str, Any]:
    """Return the targets of a COCO file; ids of annotations are 1, 2, 3 ... in order."""
    starts = starts_of(frames.count)
    columns = {
        "xywh": to_xywh(frames.box),
        "labels": np.zeros(len(frames.box), dtype=np.int64),
        "area": frames.area.astype(np.float64),
        "crowd": np.zeros(len(frames.box), dtype=bool),
        "annotation": np.arange(1, len(frames.box) + 1),
    }
    size = np.tile(np.array(frames.image.shape[1:3], dtype=np.int64), (len(frames.ids), 1))
    return {name: Ragged(values, starts) for name, values in columns.items()} | {"size": size}
