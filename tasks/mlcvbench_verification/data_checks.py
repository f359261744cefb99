"""Checks of the task's data sets, whoever wrote them."""

from __future__ import annotations

from typing import cast

import numpy as np

from mlcvbench.contract import Array, LoadedData, check_target, checked_ends
from mlcvbench.errors import DataError
from mlcvbench_verification.pairs import NO_FOLD, Pairs
from mlcvbench_verification.protocols import FOLDED, IDENTIFICATION, PAIRS, parse_protocol

_BLOCK = 1 << 20
"""Pairs processed at once."""


def check_data(data: LoadedData) -> None:
    """Refuse people that are not numbers, and pairs that are not two images of the test split.

    `identity`: int64 (N,), a number per person; `pairs` of the test split: `Pairs` over its images. DataError names the
    split, the sample or pair, what was wanted and what was got.
    """
    for place in checked_ends(data, ("identity",)):
        check_target(place, "identity", (), "int64")
    where, test = f"data set {data.name!r}, split 'test'", data.splits["test"]
    pairs: object = test.targets().get("pairs")
    if not isinstance(pairs, Pairs):
        raise DataError(f"{where}: wanted the target 'pairs' as Pairs over its images, got {type(pairs).__name__}.")
    labelled = () if pairs.same is None else (("same", "bool"),)
    for name, dtype in (("first", "int32"), ("second", "int32"), ("fold", "int16"), *labelled):
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


def check_protocol(data: LoadedData, protocol: str) -> None:
    """Refuse a protocol that needs folds, both kinds of pairs, or known people where the data lack them.

    DataError names the data set, what the protocol needs and an alternative.
    """
    rules, test = parse_protocol(protocol), data.splits["test"]
    what, identity = f"protocol {protocol!r}", np.asarray(test.targets()["identity"])
    if rules.family == IDENTIFICATION:
        if data.problem.extra.get("people") == "pairs":
            raise DataError(
                f"{what} looks people up, but data set {data.name!r} knows people only by pairs; use a "
                f"protocol such as '{PAIRS}/{rules.by}@1'."
            )
        if len(np.unique(identity)) == len(test):
            raise DataError(f"{what} looks people up, but nobody in data set {data.name!r} has two images or more.")
        return
    pairs = cast("Pairs", test.targets()["pairs"])
    _check_kinds(what, data.name, pairs, identity)
    if rules.family in FOLDED and not _has_folds(pairs):
        raise DataError(
            f"{what} compares pairs in two folds or more, and those of data set {data.name!r} lie in none; name folds "
            f"in a column 'fold' of data.pairs, or use '{PAIRS}/{rules.by}@1'."
        )


def _has_folds(pairs: Pairs) -> bool:
    return bool(pairs.fold.min() > NO_FOLD and pairs.fold.min() < pairs.fold.max())


def _check_kinds(what: str, name: str, pairs: Pairs, identity: Array) -> None:
    """Refuse a list without genuine or without impostor pairs; a block at a time, up to the first of each kind."""
    kinds: set[bool] = set()
    for start in range(0, len(pairs), _BLOCK):
        kinds |= set(np.unique(pairs.genuine(identity, slice(start, start + _BLOCK))).tolist())
        if len(kinds) == 2:
            return
    got = f"{len(pairs):,} pairs, all of them {'genuine' if True in kinds else 'impostors'}" if kinds else "no pairs"
    raise DataError(f"{what} compares genuine with impostor pairs, but data set {name!r} has {got}; wanted both kinds.")
