"""What loaded data must keep, whoever wrote the data set: inputs as the problem says, labels inside the class list."""

from __future__ import annotations

import numpy as np

from mlcvbench.contract.batch import Array
from mlcvbench.contract.problem import InputSpec
from mlcvbench.contract.split import LoadedData, Split
from mlcvbench.errors import DataError

DTYPES = {"image": "uint8", "left": "uint8", "right": "uint8", "frames": "uint8", "depth": "float32"}
"""The dtype of each input kind; models rely on it."""


def check_inputs(data: LoadedData) -> None:
    """Compare the first and the last sample of every split with `problem.inputs`; nothing else is read.

    An input that is not there is left out: a split may hold targets only, for predictions made elsewhere. DataError
    names split, sample, wanted and got.
    """
    for kind, spec in data.problem.inputs.items():
        wanted = DTYPES.get(kind, spec.dtype)
        if spec.dtype != wanted:
            raise DataError(
                f"data set {data.name!r}: the problem says that {kind} inputs are {spec.dtype}; wanted {wanted}."
            )
    for name, split in data.splits.items():
        if len(split):
            _check_ends(f"data set {data.name!r}, split {name!r}", split, data)


def check_labels(data: LoadedData, target: str = "label") -> None:
    """Refuse labels that are no integers (N,) or lie outside the class list; DataError names split and sample."""
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
                f"for the problem names {count} classes, got {labels[row]}."
            )


def _check_ends(where: str, split: Split, data: LoadedData) -> None:
    ends = sorted({0, len(split) - 1})
    try:
        batch, _ = split.read(ends)
    except DataError:
        return  # targets without inputs, or a file that cannot be read: the run that needs it says so
    for kind, spec in data.problem.inputs.items():
        for row, value in enumerate(batch.inputs.get(kind, ())):
            _check_input(f"{where}, sample {str(batch.ids[row])!r}", kind, np.asarray(value), spec)


def _check_input(where: str, kind: str, value: Array, spec: InputSpec) -> None:
    fits = len(value.shape) == len(spec.shape) and all(
        wanted in {None, got} for wanted, got in zip(spec.shape, value.shape, strict=True)
    )
    if not fits or value.dtype.name != spec.dtype:
        raise DataError(
            f"{where}: wanted {kind} as {spec.dtype} {_shown(spec.shape)}, as the problem's InputSpec says, "
            f"got {value.dtype} {_shown(value.shape)}."
        )


def _shown(shape: tuple[int | None, ...]) -> str:
    lengths = ", ".join("any" if length is None else str(length) for length in shape)
    return f"({lengths},)" if len(shape) == 1 else f"({lengths})"
