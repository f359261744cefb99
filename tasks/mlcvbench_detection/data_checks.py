"""Checks of the task's data sets, whoever wrote them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mlcvbench.contract import Array, LoadedData, Place, check_target, checked_ends
from mlcvbench.errors import DataError
from mlcvbench_detection.geometry.rle import Masks
from mlcvbench_detection.predictions import FARTHEST

FLAGS = ("crowd", "difficult", "annotation", "area")
DTYPES = {"crowd": "bool", "difficult": "bool", "annotation": "int64", "area": "float64"}


def check_data(data: LoadedData) -> None:
    """Refuse annotations of another dtype, of unequal number, or with invalid boxes or classes.

    `xywh` float64 (n, 4), `labels` int64 (n,) and `size` int64 (2,) per image; if given also `area` float64,
    `crowd` and `difficult` bool, `annotation` int64 (n,), and `masks`. DataError names the split, the sample, what was
    wanted and what was got.
    """
    for place in checked_ends(data, ("xywh", "labels", "size"), (*FLAGS, "masks")):
        boxes = check_target(place, "xywh", (None, 4), "float64")
        labels = check_target(place, "labels", (len(boxes),), "int64")
        for wrong, wanted in _wrongs(boxes, labels, len(data.problem.classes)):
            if wrong.any():
                row = int(np.argmax(wrong))
                got = f"box {boxes[row].tolist()} and label {labels[row]}"
                raise DataError(f"{place.where}, object {row}: wanted {wanted}, got {got}.")
        for name in FLAGS:
            if name in place.targets:
                check_target(place, name, (len(boxes),), DTYPES[name])
        _check_size(place, len(boxes))


def _wrongs(boxes: Array, labels: Array, classes: int) -> Iterator[tuple[Array, str]]:
    """Yield, for each rule, which objects break it and what was wanted."""
    yield (labels < 0) | (labels >= classes), f"a label from 0 to {classes - 1} in the target 'labels'"
    yield np.any(boxes[:, 2:] < 0, axis=1), "x, y, width, height with no negative size in the target 'xywh'"
    yield np.any(np.abs(boxes) > FARTHEST, axis=1), f"numbers within {FARTHEST:g} pixels in the target 'xywh'"


def _check_size(place: Place, count: int) -> None:
    """Compare the stated size with the image and the masks; 0 = unknown."""
    size = check_target(place, "size", (2,), "int64").tolist()
    image = list(place.size)
    if None not in image and size[0] and size != image:
        raise DataError(f"{place.where}: wanted the target 'size' {image}, as its image has, got {size}.")
    masks = place.targets.get("masks")
    if masks is None:
        return
    if not isinstance(masks, Masks) or len(masks) != count:
        got = f"{len(masks)}" if isinstance(masks, Masks) else type(masks).__name__
        raise DataError(f"{place.where}: wanted {count} run-length masks in the target 'masks', got {got}.")
    strange = (masks.size != np.array(size)).any(axis=1) if size[0] else np.zeros(0, dtype=bool)
    if strange.any():
        row = int(np.argmax(strange))
        raise DataError(f"{place.where}: wanted mask {row} of size {size}, got {masks.size[row].tolist()}.")
