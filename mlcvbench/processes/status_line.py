"""A status line that is rewritten in place; plain text, so that a terminal and a notebook show it alike."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from mlcvbench.processes.progress import NO_NUMBERS, Numbers, Progress

TICK_SECONDS = 0.25
LONG_MINUTES, LONG_HOURS = 90, 90 * 60


class StatusLine:
    """A line at the end of `stream` (standard error), rewritten by a thread four times a second in the `with` block.

    Nothing is drawn when `live` is false, the default unless the stream is a terminal.
    """

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None, live: bool | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._live = not quiet and self._stream is not None and (self._stream.isatty() if live is None else live)
        self._text: Callable[[int], str] = lambda _: ""
        self._drawn = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> StatusLine:
        if self._live:
            self._thread = threading.Thread(target=self._tick, name="mlcvbench-status-line", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            self._wipe()

    def show(self, text: Callable[[int], str]) -> None:
        """Show from now on what `text` returns; it is called with the number of columns whenever the line is
        rewritten.
        """
        self._text = text

    def write(self, line: str) -> None:
        """Print a permanent line above the one that is rewritten."""
        with self._lock:
            self._wipe()
            self._put(f"{line}\n")

    def draw(self) -> None:
        """Rewrite the line now."""
        with self._lock:
            width = shutil.get_terminal_size().columns - 1
            text = self._text(width)[:width]
            if self._live and (text or self._drawn):
                self._put(f"\r{text}{' ' * (self._drawn - len(text))}")
                self._drawn = len(text)

    def _tick(self) -> None:
        while not self._over.wait(TICK_SECONDS):
            self.draw()

    def _wipe(self) -> None:
        if self._drawn:
            self._put(f"\r{' ' * self._drawn}\r")
            self._drawn = 0

    def _put(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._live = False  # nobody is reading; the work goes on


def counted(line: StatusLine) -> Progress:
    """Return the progress that shows on `line` how many images of a stage are done."""

    def show(stage: str, done: int, total: int, numbers: Numbers = NO_NUMBERS) -> None:  # noqa: ARG001 - of a fit
        text = f"{stage} {done:,} of {total:,}" if total > 1 else stage
        line.show(lambda _: text)

    return show


def span_text(seconds: float) -> str:
    """Return a duration in its most readable unit.

    >>> span_text(0.2), span_text(75), span_text(754), span_text(9000)
    ('0 s', '75 s', '13 min', '2.5 h')
    """
    if seconds < LONG_MINUTES:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < LONG_HOURS else f"{seconds / 3600:.1f} h"


def fitted(head: str, tail: str, width: int) -> str:
    """Return head and tail in `width` columns; what does not fit is left out of the head.

    >>> fitted("[1/2] knn k=5 seed 0: ", "fit 50 %, 3 s", 24)
    '[1/2] knn… fit 50 %, 3 s'
    """
    room = width - len(tail)
    if len(head) > room:
        head = f"{head[: max(room - 2, 0)].rstrip(' :')}… " if room > 2 else ""
    return f"{head}{tail}"
