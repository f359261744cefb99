"""Batches: what the bench hands to a model. Columnar, numpy, without targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Column: TypeAlias = "Array | list[Any]"
"""One value per sample: an array whose first axis is the batch, or a list when the values are ragged."""
Targets: TypeAlias = Mapping[str, Column]
Predictions: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """One element of a batch; the arrays are views."""

    id: str
    inputs: dict[str, Array]
    meta: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive samples of one split.

    `ids`: unicode array (B,). `inputs`: input kind -> array (B, ...) or, when ragged, a list of B arrays; `image`,
    `left`, `right` are uint8 (B, H, W) or (B, H, W, 3), `depth` float32 metres (B, H, W), `frames` uint8
    (B, T, H, W, 3). `meta`: per-sample facts (original size, intrinsics 3x3, baseline in metres, pose).
    """

    ids: Array
    inputs: Mapping[str, Column]
    meta: Mapping[str, Column] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        return Sample(
            id=str(self.ids[index]),
            inputs={kind: np.asarray(column[index]) for kind, column in self.inputs.items()},
            meta={name: column[index] for name, column in self.meta.items()},
        )

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    @property
    def ragged(self) -> bool:
        """True when some input is a list because its samples differ in size."""
        return any(isinstance(column, list) for column in self.inputs.values())


def take(column: Column, index: Sequence[int] | Array | slice) -> Column:
    """Select rows of a column; a slice of an array stays a view."""
    if isinstance(column, list):
        return column[index] if isinstance(index, slice) else [column[int(i)] for i in index]
    return column[index if isinstance(index, slice) else np.asarray(index, dtype=np.int64)]


def chosen(batch: Batch, index: Sequence[int] | Array | slice) -> Batch:
    """Select samples of a batch."""
    return Batch(
        ids=batch.ids[index if isinstance(index, slice) else np.asarray(index, dtype=np.int64)],
        inputs={kind: take(column, index) for kind, column in batch.inputs.items()},
        meta={name: take(column, index) for name, column in batch.meta.items()},
    )


def join(columns: Sequence[Column]) -> Column:
    """Concatenate columns of the same name; arrays whose trailing shapes differ become a list."""
    if all(isinstance(column, np.ndarray) for column in columns):
        arrays = [np.asarray(column) for column in columns]
        if len({array.shape[1:] for array in arrays}) == 1:
            return np.concatenate(arrays)
    return [value for column in columns for value in column]


def joined(batches: Sequence[Batch]) -> Batch:
    """Return batches of the same columns, one after the other, as one."""
    first = batches[0]
    if len(batches) == 1:
        return first
    return Batch(
        ids=np.concatenate([batch.ids for batch in batches]),
        inputs={kind: join([batch.inputs[kind] for batch in batches]) for kind in first.inputs},
        meta={name: join([batch.meta[name] for batch in batches]) for name in first.meta},
    )
