"""Columns whose values are read when they are asked for, so that a large split is never in memory as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from mlcvbench.files.ahead import ahead

Value = TypeVar("Value")
Reader = Callable[[int], Value]
"""Gives the value at a place of the source."""


class LazyColumn(Generic[Value]):
    """One value a sample that lies in files: a column for targets and predictions that keeps nothing.

    `source` opens the files and gives a reader; going through the column opens it once and reads one value after the
    other; ahead of its taker where `threaded` says that several threads may call the reader at once. Slices and index
    arrays give a column again. What is read twice is decoded twice. `names`: what messages call the value at each
    place of the source, such as its file.
    """

    def __init__(
        self,
        source: Callable[[], AbstractContextManager[Reader[Value]]],
        places: Sequence[int] | NDArray[Any],
        names: Sequence[str] | None = None,
        *,
        threaded: bool = False,
    ) -> None:
        self._source, self._places, self._names = source, np.asarray(places, dtype=np.int64), names
        self._threaded = threaded

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Value]:
        with self._source() as read:
            places = self._places.tolist()
            yield from ahead(read, places, _bytes_of) if self._threaded else map(read, places)

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> Value: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | NDArray[Any]) -> LazyColumn[Value]: ...
    def __getitem__(self, index: Any) -> Value | LazyColumn[Value]:
        if isinstance(index, int | np.integer):
            with self._source() as read:
                return read(int(self._places[index]))
        return LazyColumn(self._source, self._places[index], self._names, threaded=self._threaded)

    def name(self, index: int) -> str | None:
        """Return what messages call the value at `index`, None when it has no name."""
        return None if self._names is None else self._names[int(self._places[index])]


def file_column(paths: Sequence[Path], read: Callable[[Path], Value]) -> LazyColumn[Value]:
    """Return a column of one file a sample, each read by `read` when it is asked for and named by its path."""
    source = lambda: nullcontext(lambda place: read(paths[place]))  # noqa: E731 - a function of one expression
    return LazyColumn(source, range(len(paths)), [str(path) for path in paths], threaded=True)


def _bytes_of(value: object) -> int:
    return int(getattr(value, "nbytes", 0))


def value_name(column: object, index: int) -> str:
    """Return what messages call the value of any column at `index`: its file, or its place in the split."""
    name = column.name(index) if isinstance(column, LazyColumn) else None
    return name or f"sample {index} of the split"
