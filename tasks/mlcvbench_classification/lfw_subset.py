"""The LFW subset that scikit-image ships: 100 faces and 100 pieces of background, 25 x 25 grey pixels. Real images.

The faces were drawn from Labeled Faces in the Wild, the rest cut from the backgrounds of the same photographs and
resized; many of these show the black border left by aligning the photograph, so they are easy to tell apart. 150 images
train, as in scikit-image's example of Haar features and boosting.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import Array, ArraySplit, InputSpec, LoadedData, Problem
from mlcvbench.errors import DataError
from mlcvbench_classification.splitting import train_and_val

CLASSES = ("non-face", "face")
EACH, SIDE = 100, 25
TRAINING = 75
"""Training images per class, the first in file order; the last 25 of each class test."""
VALIDATION = 30


def load_lfw_subset(params: Mapping[str, Any], data_seed: int) -> LoadedData:  # noqa: ARG001 - a loader's signature
    """Return uint8 (25, 25) with labels 0 non-face and 1 face: 120 train, 30 val, 50 test, half of each class.

    The file holds grey levels 0..1 as float64, interpolated by resizing; they are rounded to the nearest of 256 levels.
    The split is fixed, so `data_seed` does not change it: the first 75 of each class in file order, face and non-face
    in turn, of which the last 30 validate; the last 25 of each class test.
    """
    grey = _read()
    images = np.round(grey * 255).astype(np.uint8)
    labels = np.repeat(np.array([1, 0], dtype=np.int64), EACH)
    in_turn = np.stack([np.arange(EACH), np.arange(EACH, 2 * EACH)], axis=1)  # (100, 2): face, non-face

    def block(name: str, index: Array) -> ArraySplit:
        return ArraySplit(name, {"image": images[index]}, {"label": labels[index]}, [f"{i:03d}" for i in index])

    splits = train_and_val(block("train", in_turn[:TRAINING].ravel()), val_count=VALIDATION)
    splits["test"] = block("test", in_turn[TRAINING:].ravel())
    problem = Problem("classification", CLASSES, {"image": InputSpec((SIDE, SIDE))})
    return LoadedData("lfw_subset", "1", problem, splits)


def _read() -> Array:
    """Return float64 (200, 25, 25) in 0..1, faces first; read from scikit-image's folder without importing it."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise DataError("package 'skimage', which carries the data, is not installed. Run: pip install scikit-image")
    path = Path(spec.submodule_search_locations[0]) / "data" / "lfw_subset.npy"
    try:
        images: Array = np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"skimage/data/lfw_subset.npy: cannot be read ({error}); reinstall 'scikit-image'.") from None
    wanted = f"skimage/data/lfw_subset.npy: wanted floats {(2 * EACH, SIDE, SIDE)} from 0 to 1"
    if images.shape != (2 * EACH, SIDE, SIDE) or images.dtype.kind != "f":
        raise DataError(f"{wanted}, got {images.dtype} {images.shape}; reinstall 'scikit-image'.")
    if not 0 <= images.min() <= images.max() <= 1:
        raise DataError(f"{wanted}, got values from {images.min()} to {images.max()}; reinstall 'scikit-image'.")
    return images
