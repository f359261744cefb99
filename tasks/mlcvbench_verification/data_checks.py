"""What a data set of the task must keep, whoever wrote it."""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import LoadedData, check_target, checked_ends
from mlcvbench.errors import DataError
from mlcvbench_verification.pairs import NO_FOLD, Pairs


def check_data(data: LoadedData) -> None:
    """Refuse people that are no numbers, and pairs that are no pairs of two images of the test split.

    `identity`: int64 (N,), a number a person; `pairs` of the test split: `Pairs` over its images. DataError names the
    split, the sample or pair, what was wanted and what was got.
    """
    for place in checked_ends(data, ("identity",)):
        check_target(place, "identity", (), "int64")
    where, test = f"data set {data.name!r}, split 'test'", data.splits["test"]
    pairs: object = test.targets().get("pairs")
    if not isinstance(pairs, Pairs):
        raise DataError(f"{where}: wanted the target 'pairs' as Pairs over its images, got {type(pairs).__name__}.")
    for name, dtype in (("first", "int32"), ("second", "int32"), ("fold", "int16")):
        column = getattr(pairs, name)
        if column.dtype.name != dtype or column.shape != (len(pairs.first),):
            raise DataError(
                f"{where}: wanted pairs.{name} as {dtype} ({len(pairs.first)},), got {column.dtype} {column.shape}."
            )
    _check_places(where, pairs, len(test))


def _check_places(where: str, pairs: Pairs, count: int) -> None:
    lower, upper = np.minimum(pairs.first, pairs.second), np.maximum(pairs.first, pairs.second)
    for wrong, wanted in (
        ((lower < 0) | (upper >= count), f"places of images from 0 to {count - 1}"),
        (lower == upper, "two different images"),
        (pairs.fold < NO_FOLD, f"a fold from 0, or {NO_FOLD} for none"),
    ):
        if wrong.any():
            row = int(np.argmax(wrong))
            got = f"images {pairs.first[row]} and {pairs.second[row]} in fold {pairs.fold[row]}"
            raise DataError(f"{where}, pair {row} of the target 'pairs': wanted {wanted}, got {got}.")
