"""The motorcycle of Middlebury 2014 at a quarter of its size, as scikit-image ships it: one real stereo pair."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import ArraySplit, InputSpec, LoadedData, Problem
from mlcvbench.errors import DataError
from mlcvbench.files.images import read_image
from mlcvbench.files.npz import open_npz

FOCAL_PX, BASELINE_M, OFFSET_PX = 994.978, 0.193001, 31.086
CENTRE_PX = (311.193, 254.877)


def load_motorcycle(params: Mapping[str, Any], data_seed: int) -> LoadedData:  # noqa: ARG001 - a loader's signature
    """Return the pair as the only sample of the test split.

    Inputs `left` and `right` uint8 (500, 741, 3); target `disparity` float32 px, 0 = unknown (inf in the file).
    `meta`: intrinsics 3x3 (px), baseline (m) and the offset of the principal points (px): depth = focal * baseline /
    (disparity + offset). The files are read from scikit-image's folder without importing it.
    """
    spec = importlib.util.find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise DataError("package 'skimage', which carries the data, is not installed. Run: pip install scikit-image")
    folder = Path(spec.submodule_search_locations[0]) / "data"
    left, right = (read_image(folder / f"motorcycle_{side}.png") for side in ("left", "right"))
    with open_npz(folder / "motorcycle_disp.npz") as file:
        disparity = file.read(next(iter(file.headers))).astype(np.float32)
    disparity = np.where(np.isfinite(disparity), disparity, np.float32(0))
    intrinsics = np.array([[FOCAL_PX, 0, CENTRE_PX[0]], [0, FOCAL_PX, CENTRE_PX[1]], [0, 0, 1]])
    test = ArraySplit(
        "test",
        {"left": left[None], "right": right[None]},
        {"disparity": disparity[None]},
        ids=["motorcycle"],
        meta={"intrinsics": intrinsics[None], "baseline": np.array([BASELINE_M]), "offset": np.array([OFFSET_PX])},
    )
    shape = InputSpec(tuple(left.shape))
    extra = {"field": "disparity", "disparities": params.get("disparities", 64)}
    return LoadedData("motorcycle", "1", Problem("depth", (), {"left": shape, "right": shape}, extra), {"test": test})
