"""Checks of the task's data sets, whoever wrote them."""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import LoadedData, check_target, checked_ends
from mlcvbench.errors import DataError
from mlcvbench.files.lazy_columns import value_name
from mlcvbench_segmentation.counting import ignore_value, map_dtype
from mlcvbench_segmentation.scoring import background_of, parse_protocol


def check_data(data: LoadedData) -> None:
    """Refuse label maps of another type or size than their input, or with values that are not classes.

    `label_map`: uint8 (uint16 for more than 255 classes) (H, W), 0..C-1, or 255 (65535) where nothing is scored.
    DataError names the split, the sample, what was wanted and what was got.
    """
    count = len(data.problem.classes)
    dtype, ignored = map_dtype(count).name, ignore_value(count)
    for place in checked_ends(data, ("label_map",)):
        labels = check_target(place, "label_map", place.size, dtype)
        bad = (labels >= count) & (labels != ignored)
        if bad.any():
            raise DataError(
                f"{place.where}: wanted labels from 0 to {count - 1}, or {ignored} (not scored), in the target "
                f"'label_map', got {int(np.min(labels[bad]))}."
            )


def refuse_without_background(data: LoadedData, protocol: str) -> None:
    """Refuse a protocol with the foreground's metric for data without a background: DataError."""
    if parse_protocol(protocol).foreground and not background_of(data.problem):
        raise DataError(
            f"data set {data.name!r} says of none of its classes that it is background, and protocol {protocol!r} "
            f"scores the foreground; use {protocol.replace('/foreground', '')!r}, or call a class 'background'."
        )


def refuse_ignored(data: LoadedData, protocol: str) -> None:
    """Refuse a protocol that scores every pixel for labels with ignored pixels; DataError names the first.

    This reads all labels of the test split, only for such a protocol.
    """
    if parse_protocol(protocol).ignore is not None:
        return
    count = len(data.problem.classes)
    labels = data.splits["test"].targets()["label_map"]
    for place, label in enumerate(labels):
        if (np.asarray(label) >= count).any():
            other = protocol.replace("ignore-none", f"ignore{ignore_value(count)}")
            raise DataError(
                f"data set {data.name!r}: {value_name(labels, place)} has pixels that are not scored, and protocol "
                f"{protocol!r} scores every pixel; use {other!r}."
            )
