"""Checks of loaded data, whoever wrote the data set: inputs as the problem declares, targets as the task kind
requires.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mlcvbench.contract.batch import Array
from mlcvbench.contract.problem import InputSpec
from mlcvbench.contract.split import LoadedData, Split
from mlcvbench.errors import DataError

DTYPES = {"image": "uint8", "left": "uint8", "right": "uint8", "frames": "uint8", "depth": "float32"}
"""The dtype of each input kind; models rely on it."""


class Place(NamedTuple):
    """One sample under inspection: where it is, for messages, its inputs (none when it has no files) and targets."""

    where: str
    inputs: Mapping[str, Array]
    targets: Mapping[str, Any]

    @property
    def size(self) -> tuple[int | None, int | None]:
        """Height and width of its inputs, None where there are none."""
        for value in self.inputs.values():
            height, width = value.shape[1:3] if value.ndim == 4 else value.shape[:2]  # frames have time first
            return int(height), int(width)
        return None, None


def check_inputs(data: LoadedData) -> None:
    """Compare the first and the last sample of every split with `problem.inputs`; nothing else is read.

    A missing input is skipped: a split may hold targets only, for predictions made elsewhere. DataError names split,
    sample, wanted and got.
    """
    for _ in checked_ends(data):
        pass


def checked_ends(
    data: LoadedData, targets: Sequence[str] = (), optional: Sequence[str] = (), only_test: bool = False
) -> Iterator[Place]:
    """Yield the first and the last sample of every split, its inputs checked, with the targets of these names.

    `targets` must be there in every split, or in `test` alone when `only_test`; each has one value per sample. Samples
    that cannot be read are skipped: the run that needs them reports it. DataError as in `check_inputs`.
    """
    for kind, spec in data.problem.inputs.items():
        wanted = DTYPES.get(kind, spec.dtype)
        if spec.dtype != wanted:
            raise DataError(
                f"data set {data.name!r}: the problem says that {kind} inputs are {spec.dtype}; wanted {wanted}."
            )
    for name, split in data.splits.items():
        where = f"data set {data.name!r}, split {name!r}"
        needed = () if only_test and name != "test" else targets
        columns = _columns(where, split, needed, [*targets, *optional]) if targets or optional else {}
        for place in sorted({0, len(split) - 1}) if len(split) else ():
            yield from _read_place(f"{where}, sample {str(split.ids[place])!r}", split, place, columns, data)


def check_target(place: Place, name: str, shape: tuple[int | None, ...], *dtypes: str) -> Array:
    """Return a target of a sample; DataError unless it is an array of one of `dtypes` and of `shape` (None = any
    length).

    Floats must be finite.
    """
    wanted = f"{' or '.join(dtypes)} {_shown(shape)}"
    value = place.targets[name]
    if not isinstance(value, np.ndarray | np.generic):
        raise DataError(f"{place.where}: wanted the target {name!r} as {wanted}, got {type(value).__name__}.")
    array = np.asarray(value)
    if array.dtype.name not in dtypes or not _fits(array.shape, shape):
        raise DataError(
            f"{place.where}: wanted the target {name!r} as {wanted}, got {array.dtype} {_shown(array.shape)}."
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = array[~np.isfinite(array)][0]
        raise DataError(f"{place.where}: wanted finite numbers in the target {name!r}, got {bad}.")
    return array


def check_labels(data: LoadedData, target: str = "label") -> None:
    """Refuse labels that are not integers (N,) or lie outside the class list; DataError names split and sample."""
    count = len(data.problem.classes)
    for name, split in data.splits.items():
        where = f"data set {data.name!r}, split {name!r}"
        targets = split.targets()
        if target not in targets:
            raise DataError(f"{where}: has no target {target!r}; got {', '.join(sorted(targets)) or 'none'}.")
        labels = np.asarray(targets[target])
        if labels.dtype.kind not in "iu" or labels.shape != (len(split),):
            raise DataError(
                f"{where}: wanted the target {target!r} as integers ({len(split)},), "
                f"got {labels.dtype} {_shown(labels.shape)}."
            )
        if len(labels) and (labels.min() < 0 or labels.max() >= count):
            row = int(np.flatnonzero((labels < 0) | (labels >= count))[0])
            raise DataError(
                f"{where}, sample {str(split.ids[row])!r}: wanted a label from 0 to {count - 1}, "
                f"since the problem names {count} classes, got {labels[row]}."
            )


def _columns(where: str, split: Split, needed: Sequence[str], known: Sequence[str]) -> dict[str, Any]:
    """Return the known target columns of a split, each of its length."""
    targets = split.targets()
    missing = next((name for name in needed if name not in targets), None)
    if missing is not None:
        raise DataError(f"{where}: has no target {missing!r}; got {', '.join(sorted(targets)) or 'none'}.")
    columns: dict[str, Any] = {name: targets[name] for name in known if name in targets}
    for name, column in columns.items():
        if not hasattr(column, "__len__") or len(column) != len(split):
            got = len(column) if hasattr(column, "__len__") else type(column).__name__
            raise DataError(f"{where}: wanted {len(split)} values of the target {name!r}, one per sample, got {got}.")
    return columns


def _read_place(where: str, split: Split, place: int, columns: Mapping[str, Any], data: LoadedData) -> Iterator[Place]:
    try:
        inputs = {kind: np.asarray(column[0]) for kind, column in split.read([place])[0].inputs.items()}
    except DataError:
        inputs = {}  # targets without inputs, or a file that cannot be read: the run that needs it reports it
    for kind, spec in data.problem.inputs.items():
        if kind in inputs:
            _check_input(where, kind, inputs[kind], spec)
    try:
        values = {name: column[place] for name, column in columns.items()}
    except DataError:
        return
    yield Place(where, inputs, values)


def _check_input(where: str, kind: str, value: Array, spec: InputSpec) -> None:
    if not _fits(value.shape, spec.shape) or value.dtype.name != spec.dtype:
        raise DataError(
            f"{where}: wanted {kind} as {spec.dtype} {_shown(spec.shape)}, as the problem's InputSpec says, "
            f"got {value.dtype} {_shown(value.shape)}."
        )


def _fits(got: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(got) == len(wanted) and all(want in {None, have} for want, have in zip(wanted, got, strict=True))


def _shown(shape: tuple[int | None, ...]) -> str:
    lengths = ", ".join("any" if length is None else str(length) for length in shape)
    return f"({lengths},)" if len(shape) == 1 else f"({lengths})"
