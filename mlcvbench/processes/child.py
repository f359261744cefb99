"""One way to start, watch, listen to and end a child process: `X.py` starts it, and `X_child.py` runs in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

from mlcvbench.limits import KILL_GRACE_SECONDS
from mlcvbench.processes.channel import Receiver
from mlcvbench.processes.interrupts import deferred
from mlcvbench.processes.tree import Ending, end_tree, private_file, reap, wait_for
from mlcvbench.records.canonical import to_line

POLL_SECONDS = 0.1
"""Seconds between two looks of a waiting parent at its child."""


class Child:
    """A running child; `started` starts and ends it."""

    def __init__(self, process: subprocess.Popen[bytes], channel: Receiver) -> None:
        self._process = process
        self._channel = channel
        self._ending: Ending | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def said(self) -> Iterator[dict[str, Any]]:
        """Yield its messages since the last call; never waits."""
        return self._channel.messages()

    def go(self) -> None:
        """Tell a listening child to go on; nothing happens if it has ended meanwhile."""
        pipe = self._process.stdin
        if pipe is not None and not pipe.closed:
            try:
                pipe.write(b"go\n")
                pipe.close()
            except BrokenPipeError:
                pass

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended, at most `seconds`; return whether it has."""
        return self._ending is not None or wait_for(self._process, seconds)

    def end(self, grace: float = KILL_GRACE_SECONDS) -> None:
        """Ask it to end, and after `grace` seconds kill it and all its descendants."""
        if self._ending is None:
            end_tree(self._process, grace)

    def ending(self) -> Ending:
        """Return how it ended, once it has; the rest of its group is killed."""
        if self._ending is None:
            self._ending = reap(self._process)
        return self._ending


@contextmanager
def started(
    module: str,
    request: Mapping[str, Any],
    *,
    log: IO[bytes],
    environment: Mapping[str, str],
    arguments: Sequence[str] = (),
    listens: bool = False,
) -> Iterator[Child]:
    """Start `-m module` on a request and yield it; it and all its descendants are gone when the block is left.

    It has its own session, so that Ctrl-C never reaches it, and dies with its parent. Its output and errors go to
    `log`, its messages to a channel. Request and channel are unnamed files, since a process that the child leaves
    behind could hold a pipe open. `arguments` only make it recognisable in a process list. `listens`: it waits for
    `go`.
    """
    with private_file(to_line(request)) as asked, private_file() as channel:
        descriptors = (asked.fileno(), channel.fileno())
        command = [sys.executable, "-P", "-m", module, *map(str, descriptors), str(os.getpid()), *arguments]
        with deferred():  # an interrupt between fork and return would lose the child
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if listens else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=descriptors,
                start_new_session=True,
                env=dict(environment),
            )
        child = Child(process, Receiver(channel))
        try:
            yield child
        finally:
            try:
                if not child.wait(0):
                    child.end()
            finally:
                child.ending()
                if process.stdin is not None and not process.stdin.closed:
                    process.stdin.close()


def last_line(log: IO[bytes], most: int = 4096) -> str:
    """Return the last line of a child's log, blanks collapsed; empty when there is none."""
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - most))
    lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    return " ".join(lines[-1].split()) if lines else ""
