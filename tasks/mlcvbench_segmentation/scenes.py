"""Rendered scenes with a class for every pixel: ground, wall and five kinds of solids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlcvbench.contract import Array, ArraySplit, InputSpec, LoadedData, Problem
from mlcvbench_scenes import CLASSES
from mlcvbench_scenes.dataset import SceneSettings, left_frames
from mlcvbench_scenes.scene import FIRST_SOLID
from mlcvbench_segmentation.counting import ignore_value
from mlcvbench_segmentation.scoring import BACKGROUND


def load_scenes(params: Mapping[str, Any], data_seed: int) -> LoadedData:
    """Return rendered scenes with the splits train, val and test; `data_seed` says which scenes.

    Inputs `image` uint8 (H, W, 3), targets `label_map` uint8 (H, W), indices into `CLASSES`. A pixel whose colour is
    mixed from both sides of a border has the label of its centre and is scored, unless `border` says otherwise: pixels
    with another label at most `border` pixels away, across or diagonally, then hold 255.
    """
    settings, border = SceneSettings.of(params, data_seed), int(params.get("border") or 0)
    splits = {}
    for name in settings.splits:
        frames = left_frames(settings, name)
        labels = without_borders(frames.semantic, border, ignore_value(len(CLASSES)))
        splits[name] = ArraySplit(name, {"image": frames.image}, {"label_map": labels}, ids=frames.ids)
    inputs = {"image": InputSpec((*settings.size, 3))}
    problem = Problem("segmentation", CLASSES, inputs, {BACKGROUND: CLASSES[:FIRST_SOLID]})
    return LoadedData("scenes", "1", problem, splits)


def without_borders(labels: Array, border: int, ignored: int) -> Array:
    """Return uint8 label maps (N, H, W) that hold `ignored` where another label is at most `border` pixels away.

    >>> without_borders(np.array([[[0, 0, 0, 1, 1, 1]]], np.uint8), 1, 255).tolist()
    [[[0, 0, 255, 255, 1, 1]]]
    """
    import cv2

    if border == 0:
        return labels
    window = np.ones((2 * border + 1, 2 * border + 1), dtype=np.uint8)
    mixed = np.stack([cv2.dilate(one, window) != cv2.erode(one, window) for one in labels])
    return np.where(mixed, np.uint8(ignored), labels)
