"""Standard output is for results: anything else printed in a process, also by C libraries, goes to standard error.

A process calls `take_stdout` once. Inside `results_apart`, where plugins run, even `print` writes to standard error,
and only `emit` writes results.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TextIO

_kept: list[TextIO | None] = []
"""Standard output as found by each active `results_apart`; None when it is closed."""


def take_stdout() -> TextIO:
    """Return a text stream to standard output, and make descriptor 1 standard error for the rest of the process.

    From here on only that stream reaches standard output: no C library, no process that inherits the descriptors, and
    no plugin that prints at interpreter exit. When standard output is closed, the stream discards everything.
    """
    if sys.stdout is None:
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - the caller closes it; pathlib costs time
    sys.stdout.flush()
    copy = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 3)  # never 2: standard error may be closed
    stream = os.fdopen(copy, "w", encoding=sys.stdout.encoding, errors="replace")
    try:
        os.dup2(2, 1)
    except OSError:  # standard error is closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return stream


@contextmanager
def results_apart() -> Iterator[None]:
    """Send what Python code prints inside the block to standard error; `emit` still writes to standard output."""
    _kept.append(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _kept.pop()


def emit(text: str, *, end: str = "\n") -> None:
    """Write a result to standard output; discard it when that is closed."""
    stream = _kept[0] if _kept else sys.stdout
    if stream is not None:
        print(text, file=stream, end=end, flush=True)
