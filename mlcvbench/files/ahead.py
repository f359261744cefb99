"""Reading ahead: other threads read the next items while the consumer works. Order, values and errors stay the same.

Image decoders, zlib and numpy release the interpreter lock while they work, so threads suffice. The consumer reads as
well whenever it would have to wait. The number of threads is set once, around a whole run, and is 0 during timing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mlcvbench.files.pillow_warnings import as_errors
from mlcvbench.limits import usable_cores

Item = TypeVar("Item")
Value = TypeVar("Value")
MOST_BYTES = 256 * 2**20
"""Bytes of values that may wait for the consumer; one more value is read when none waits."""
MOST_READ_BYTES = 2 * 2**30
"""Bytes of values that may be read at once, if each is as large as the largest so far."""
_UNKNOWN = 2
"""How many are read at once until the size of one is known."""
_READERS: ContextVar[tuple[int | None, int]] = ContextVar("readers", default=(None, 1))
"""How many threads read ahead; None: the cores left over by as many threads as the second number."""
_WAITED: ContextVar[list[float] | None] = ContextVar("waited", default=None)


@contextmanager
def counting_waits(into: list[float]) -> Iterator[None]:
    """Append to `into` the seconds that each taker of values inside the block waited for them or read them itself."""
    token = _WAITED.set(into)
    try:
        yield
    finally:
        _WAITED.reset(token)


_COUNTED: ContextVar[Callable[[int, int], None] | None] = ContextVar("counted", default=None)


@contextmanager
def counting(report: Callable[[int, int], None] | None) -> Iterator[None]:
    """Call `report` inside the block with how many values of a whole have been read, and of how many."""
    token = _COUNTED.set(report)
    try:
        yield
    finally:
        _COUNTED.reset(token)


def note_read(done: int, total: int) -> None:
    """Report that so many values of a whole have been read."""
    report = _COUNTED.get()
    if report is not None:
        report(done, total)


def noted(values: Iterable[Value], total: int) -> Iterator[Value]:
    """Yield values and report each as read."""
    for done, value in enumerate(values, start=1):
        note_read(done, total)
        yield value


@contextmanager
def readers(count: int | None, beside: int = 1) -> Iterator[None]:
    """Let `count` threads read ahead inside the block; 0: nothing is read before it is requested.

    None: the number of cores that the `beside` threads using the values leave free, at least one.
    """
    token = _READERS.set((count, beside))
    try:
        yield
    finally:
        _READERS.reset(token)


def ahead(
    read: Callable[[Item], Value], items: Sequence[Item], size_of: Callable[[Value], int] = lambda _: 0
) -> Iterator[Value]:
    """Yield `read(item)` for each item, in order, like `map`; `read` must be fit for several threads at once.

    An exception of `read` is raised in its turn, after all earlier values; no later item is started. An interrupt does
    not wait for its turn. At most two values per thread wait for the consumer, and at most `MOST_BYTES` by `size_of`;
    those being read are bounded by `MOST_READ_BYTES`. A `read` that itself reads ahead does so without further threads.
    """
    waited, seconds = _WAITED.get(), 0.0
    values = _values(read, items, size_of)
    try:
        while True:
            start = time.perf_counter()
            value = next(values, _END)
            seconds += time.perf_counter() - start
            if isinstance(value, _End):
                return
            yield value
    finally:
        values.close()
        if waited is not None:
            waited.append(seconds)


class _End:
    """What no reading gives."""


_END = _End()


def _values(
    read: Callable[[Item], Value], items: Sequence[Item], size_of: Callable[[Value], int]
) -> Generator[Value, None, None]:
    asked, beside = _READERS.get()
    count = min(max(1, usable_cores() - beside) if asked is None else asked, len(items) - 1)
    if count < 1:
        for item in items:
            yield read(item)
        return
    line = _Line(read, items, size_of, most=2 * count + 1)
    with as_errors():
        try:
            with suppress(RuntimeError):  # no more threads may be started: those that there are do it, or the taker
                for _ in range(count):
                    threading.Thread(target=_alone(copy_context()).run, args=(line.work,), daemon=True).start()
            own = _alone(copy_context())
            for place in range(len(items)):
                yield line.take(place, own)
        finally:
            line.stop()


def _alone(context: Context) -> Context:
    """Return a context in which no threads read ahead, else each of many would start as many again."""
    context.run(_READERS.set, (0, 1))
    context.run(_WAITED.set, None)  # who waits for the whole counts it
    context.run(_COUNTED.set, None)
    return context


@dataclass(frozen=True, slots=True)
class _Outcome(Generic[Value]):
    """The result of reading an item: a value and its bytes, or the exception."""

    value: Value | None
    size: int
    error: BaseException | None = None


class _Line(Generic[Item, Value]):
    """The items in order: which are started, which are read and waiting, how many are taken."""

    def __init__(
        self, read: Callable[[Item], Value], items: Sequence[Item], size_of: Callable[[Value], int], most: int
    ) -> None:
        self._read, self._items, self._size_of, self._most = read, items, size_of, most
        self._changed = threading.Condition()
        self._waiting: dict[int, _Outcome[Value]] = {}
        self._begun = self._taken = self._bytes = 0
        self._largest: int | None = None
        self._stopped = False

    def work(self) -> None:
        """Read one item after the other until there are no more, as a thread of its own."""
        while (place := self._begin()) is not None:
            self._finish(place)

    def take(self, place: int, context: Context) -> Value:
        """Return the value of the next item to take; read others meanwhile, in `context`, rather than wait for it."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: place in self._waiting or self._may_begin())
                outcome = self._waiting.pop(place, None)
                if outcome is not None:
                    self._taken, self._bytes = place + 1, self._bytes - outcome.size
                    self._changed.notify_all()
                    break
                mine = self._next()
            error = context.run(self._finish, mine)
            if error is not None and not isinstance(error, Exception):  # an interrupt is meant for the taker, now
                raise error
        if outcome.error is not None:
            raise outcome.error
        value: Any = outcome.value
        return value  # type: ignore[no-any-return]

    def stop(self) -> None:
        """Start no further item; threads end after the one they are reading."""
        with self._changed:
            self._stopped = True
            self._waiting.clear()
            self._changed.notify_all()

    def _begin(self) -> int | None:
        """Return the place of the next item once it may be read, None when there is none."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._begun == len(self._items) or self._may_begin())
            return None if self._stopped or self._begun == len(self._items) else self._next()

    def _next(self) -> int:
        self._begun += 1
        return self._begun - 1

    def _may_begin(self) -> bool:
        if self._stopped or self._begun == len(self._items):
            return False
        ahead = self._begun - self._taken
        if ahead == 0:
            return True
        reading = ahead - len(self._waiting)
        most = _UNKNOWN if self._largest is None else MOST_READ_BYTES // max(1, self._largest)
        return ahead < self._most and self._bytes < MOST_BYTES and reading < most

    def _finish(self, place: int) -> BaseException | None:
        """Read the item at a place, and return what was raised meanwhile."""
        try:
            value = self._read(self._items[place])
            outcome = _Outcome(value, self._size_of(value))
        except BaseException as error:  # noqa: BLE001 - it is raised where the value would be taken
            outcome = _Outcome(None, 0, error)
        with self._changed:
            if outcome.error is None:
                self._largest = max(self._largest or 0, outcome.size)
            else:
                self._items = self._items[: self._begun]
            if not self._stopped:
                self._waiting[place] = outcome
                self._bytes += outcome.size
            self._changed.notify_all()
        return outcome.error
