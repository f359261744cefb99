"""Ragged columns: one flat array of values and the start of each sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np

from mlcvbench.contract import Array

MOST_LOOKED_UP = 1 << 22
"""Numbers within a range of this width are looked up in a table."""


class Ragged:
    """A column of U samples: `values` (N, ...) and `starts` int64 (U + 1,).

    Sample i is `values[starts[i]:starts[i + 1]]`.

    It can be indexed and sliced like a list of U arrays, without a Python object per value.

    >>> column = Ragged.of([np.array([1, 2]), np.array([], int), np.array([3])])
    >>> column[0].tolist(), column[[2, 0]].values.tolist()
    ([1, 2], [3, 1, 2])
    """

    __slots__ = ("starts", "values")

    def __init__(self, values: Array, starts: Array) -> None:
        self.values, self.starts = values, starts

    @classmethod
    def of(cls, parts: Sequence[Array]) -> Ragged:
        """Return the column of at least one given array."""
        return cls(np.concatenate(parts), starts_of(np.array([len(part) for part in parts])))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __iter__(self) -> Iterator[Array]:
        return (self.values[a:b] for a, b in zip(self.starts[:-1], self.starts[1:], strict=True))

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: slice | Array | Sequence[int]) -> Ragged: ...
    def __getitem__(self, index: int | slice | Array | Sequence[int]) -> Array | Ragged:
        if isinstance(index, int | np.integer):
            return self.values[slice(*self._span(int(index)))]
        picked, starts = pick(self.starts, index)
        return Ragged(self.values[picked], starts)

    @property
    def counts(self) -> Array:
        """Values of each sample, int64 (U,)."""
        return np.diff(self.starts)

    @property
    def units(self) -> Array:
        """The sample of each value, int64 (N,)."""
        return np.repeat(np.arange(len(self)), self.counts)

    def _span(self, index: int) -> tuple[int, int]:
        place = range(len(self))[index]
        return int(self.starts[place]), int(self.starts[place + 1])


class Labels(Ragged):
    """Class indices int64, and `published`: the id of each class in files."""

    __slots__ = ("published",)

    def __init__(self, values: Array, starts: Array, published: Sequence[int]) -> None:
        super().__init__(values, starts)
        self.published = tuple(published)

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: slice | Array | Sequence[int]) -> Labels: ...
    def __getitem__(self, index: int | slice | Array | Sequence[int]) -> Array | Labels:
        taken = super().__getitem__(index)
        return Labels(taken.values, taken.starts, self.published) if isinstance(taken, Ragged) else taken


def ragged(columns: Mapping[str, Any], name: str) -> Ragged:
    """Return a column as `Ragged`; a list of arrays, as from joined splits, is concatenated."""
    column = columns[name]
    return column if isinstance(column, Ragged) else Ragged.of([np.asarray(part) for part in column])


def starts_of(counts: Array) -> Array:
    """Return int64 (U + 1,): where each of U runs of values begins, and the end of the last.

    >>> starts_of(np.array([2, 0, 1])).tolist()
    [0, 2, 2, 3]
    """
    starts = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=starts[1:])
    return starts


def runs_of(values: Array) -> tuple[Array, Array]:
    """Return where each run of equal values begins, and its length.

    >>> [part.tolist() for part in runs_of(np.array([4, 4, 7, 4]))]
    [[0, 2, 3], [2, 1, 1]]
    """
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1])) if len(values) else np.zeros(0, np.int64)
    return starts, np.diff(np.append(starts, len(values)))


def pick(starts: Array, index: slice | Array | Sequence[int]) -> tuple[slice | Array, Array]:
    """Return the indices of the values of the chosen samples, and the starts of those samples among them."""
    if isinstance(index, slice):
        first, last, step = index.indices(len(starts) - 1)
        if step == 1:
            last = max(first, last)
            return slice(int(starts[first]), int(starts[last])), starts[first : last + 1] - starts[first]
        index = np.arange(first, last, step)
    index = np.asarray(index, dtype=np.int64)
    return expand(starts[:-1][index], np.diff(starts)[index]), starts_of(np.diff(starts)[index])


def find(known: Array, values: Array) -> Array:
    """Return the index of each value among `known`, an arbitrary index for a missing value.

    >>> find(np.array([30, 10, 20]), np.array([10, 30])).tolist()
    [1, 0]
    """
    if known.dtype.kind == "i" and len(known):
        low, span = int(known.min()), int(known.max()) - int(known.min()) + 1
        if span <= MOST_LOOKED_UP:  # a table is five times faster than a search
            table = np.zeros(span, dtype=np.int64)
            table[known - low] = np.arange(len(known))
            found: Array = table.take(values - low, mode="clip")
            return found
    order = np.argsort(known, kind="stable")
    place: Array = order[np.minimum(np.searchsorted(known[order], values), len(known) - 1)]
    return place


def expand(first: Array, counts: Array) -> Array:
    """Return first[0], first[0] + 1 ... (counts[0] of them), first[1] ...: int64 (sum of counts,).

    >>> expand(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    places: Array = np.arange(total) + np.repeat(first - (ends - counts), counts)
    return places
