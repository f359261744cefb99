"""Logarithms of measured depth on a grid of a model's own, and back to an image's size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mlcvbench.contract import Array, Split
from mlcvbench.errors import DataError

_BATCH = 16


def training_pairs(train: Split, model: str) -> Iterator[tuple[Array, Array]]:
    """Yield each training image (H, W, 3) or (H, W) with its depth (H, W) in metres, 0 = unknown.

    DataError when the split has no depth, as with `data.supervision=stereo`.
    """
    if "depth" not in train.targets():
        raise DataError(f"{model}: split {train.name!r} has no measured depth to learn from.")
    for batch, targets in train.batches(_BATCH):
        for image, depth in zip(batch.inputs["image"], targets["depth"], strict=True):
            yield np.asarray(image), np.asarray(depth)


def to_grid(depth: Array, size: tuple[int, int]) -> tuple[Array, Array]:
    """Return mean log depth and the share of known pixels, both float64 (h, w), of the parts of a map (H, W).

    Where nothing is known the mean is 0.
    """
    import cv2

    known = depth > 0
    logarithm = np.log(np.where(known, depth, 1.0))
    height, width = size
    total, share = (
        cv2.resize(np.ascontiguousarray(one, dtype=np.float64), (width, height), interpolation=cv2.INTER_AREA)
        for one in (logarithm, known)
    )
    return np.divide(total, share, out=np.zeros_like(total), where=share > 0), share


def from_grid(logarithm: Array, size: tuple[int, int]) -> Array:
    """Return depth float32 (H, W) in metres of log depth (h, w), interpolated linearly."""
    import cv2

    height, width = size
    grown = cv2.resize(logarithm.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    depth: Array = np.exp(grown)
    return depth
