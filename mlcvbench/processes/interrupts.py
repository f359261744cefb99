"""Ctrl-C and SIGTERM as one exception that never arrives in the middle of a commit."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """The user or the system asked the program to stop; `signum` says how."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class _State:
    """State that the handlers share; signal handlers belong to the whole process, so there is one instance."""

    def __init__(self) -> None:
        self.shields = 0
        self.waiting: int | None = None

    def handle(self, signum: int, _frame: FrameType | None) -> None:
        if self.shields:
            self.waiting = signum
            return
        raise Interrupted(signum)


_state = _State()


@contextmanager
def catch_interrupts() -> Iterator[None]:
    """Raise `Interrupted` for SIGINT and SIGTERM inside the block; a signal that was ignored stays ignored.

    Only the main thread can do this; in any other the block just runs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, _state.handle) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def deferred() -> Iterator[None]:
    """Hold back interrupts inside the block and raise the last one at its end: for work that must not be
    interrupted.
    """
    _state.shields += 1
    try:
        yield
    finally:
        _state.shields -= 1
        waiting = None if _state.shields else _state.waiting
        if waiting is not None:
            _state.waiting = None
            raise Interrupted(waiting)
