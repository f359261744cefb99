"""Columns whose values are read on demand, so that a large split is never in memory as a whole."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from mlcvbench.files.ahead import ahead, noted
from mlcvbench.limits import usable_memory

Value = TypeVar("Value")
Reader = Callable[[int], Value]
"""Returns the value at an index of the source."""


KEPT_BYTES, KEPT_SHARE = 512 * 2**20, 1 / 32
"""The most bytes of values that are kept while several results are computed from them, and share of the memory."""


class Original(NamedTuple):
    """A submitted file that already holds a value as it would be stored: its suffix and its bytes.

    `scale`: the divisor that turns its numbers into measured ones, the same for all files of a column; None: they are
    as stored.
    """

    suffix: str
    content: bytes
    scale: float | None = None


class _Kept:
    """Values already read, by their column's source and their index, up to a size limit."""

    def __init__(self, most: int) -> None:
        self._values: dict[tuple[object, int], Any] = {}
        self._left = most

    def read(self, source: object, read: Reader[Any], place: int) -> Any:
        """Return a value, read once if it may be kept; kept values are read-only."""
        found = self._values.get((source, place))
        if found is not None:
            return found
        value = read(place)
        if isinstance(value, np.ndarray) and value.nbytes <= self._left:
            value.setflags(write=False)
            self._left -= value.nbytes
            self._values[source, place] = value
        return value


_KEPT: ContextVar[_Kept | None] = ContextVar("kept", default=None)


@contextmanager
def keeping(most: int | None = None) -> Iterator[None]:
    """Keep the arrays that lazy columns read inside the block, at most `most` bytes, so that none is decoded twice."""
    token = _KEPT.set(_KEPT.get() or _Kept(_most_kept() if most is None else most))
    try:
        yield
    finally:
        _KEPT.reset(token)


@functools.cache
def _most_kept() -> int:
    """Return how many bytes are kept when nothing is said; memory is asked for once a process."""
    return min(KEPT_BYTES, int(KEPT_SHARE * usable_memory()))


class LazyColumn(Generic[Value]):
    """One value per sample, stored in files: a column for targets and predictions that keeps nothing in memory.

    `source` opens the files and returns a reader; iterating opens it once and reads one value after the other, ahead of
    the consumer if `threaded`, which says that several threads may call the reader at once. Slices and index arrays
    give a column again. A value read twice is decoded twice. `names`: what messages call each value, such as its file.
    `original`: returns the file itself where it could be stored unchanged.
    """

    def __init__(
        self,
        source: Callable[[], AbstractContextManager[Reader[Value]]],
        places: Sequence[int] | NDArray[Any],
        names: Sequence[str] | None = None,
        *,
        threaded: bool = False,
        original: Callable[[int], Original | None] | None = None,
    ) -> None:
        self._source, self._places, self._names = source, np.asarray(places, dtype=np.int64), names
        self.threaded, self._original = threaded, original

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Value]:
        with self._source() as read:
            places, reader = self._places.tolist(), self._keeping(read)
            values = ahead(reader, places, _bytes_of) if self.threaded else map(reader, places)
            yield from noted(values, len(places))

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> Value: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | NDArray[Any]) -> LazyColumn[Value]: ...
    def __getitem__(self, index: Any) -> Value | LazyColumn[Value]:
        if isinstance(index, int | np.integer):
            with self._source() as read:
                return self._keeping(read)(int(self._places[index]))
        return LazyColumn(
            self._source, self._places[index], self._names, threaded=self.threaded, original=self._original
        )

    def original(self, index: int) -> Original | None:
        """Return the file of the value at `index` if it could be stored unchanged, else None."""
        return None if self._original is None else self._original(int(self._places[index]))

    def _keeping(self, read: Reader[Value]) -> Reader[Value]:
        kept = _KEPT.get()
        return read if kept is None else lambda place: kept.read(self._source, read, place)

    def name(self, index: int) -> str | None:
        """Return the name of the value at `index` for messages, None when it has none."""
        return None if self._names is None else self._names[int(self._places[index])]


def file_column(
    paths: Sequence[Path], read: Callable[[Path], Value], original: Callable[[Path], Original | None] | None = None
) -> LazyColumn[Value]:
    """Return a column of one file per sample, each read by `read` on demand and named by its path.

    `original`: returns the file itself where it could be stored unchanged.
    """
    source = lambda: nullcontext(lambda place: read(paths[place]))  # noqa: E731 - a function of one expression
    names = [str(path) for path in paths]
    as_it_is = None if original is None else lambda place: original(paths[place])
    return LazyColumn(source, range(len(paths)), names, threaded=True, original=as_it_is)


def _bytes_of(value: object) -> int:
    return int(getattr(value, "nbytes", 0))


def values_at(column: Any, places: Sequence[int]) -> Iterator[Any]:
    """Yield the values of any column at `places`, in that order; those in files are read ahead."""
    if isinstance(column, LazyColumn):
        return iter(column[np.asarray(places, dtype=np.int64)])
    return (column[place] for place in places)


def value_name(column: object, index: int) -> str:
    """Return the name of the value of any column at `index` for messages: its file, or its position in the split."""
    name = column.name(index) if isinstance(column, LazyColumn) else None
    return name or f"sample {index} of the split"
