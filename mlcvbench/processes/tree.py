"""Watching and ending the process tree of a child."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mlcvbench.limits import KILL_GRACE_SECONDS

OUTSIDE_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that are sent from outside, as opposed to those of a crash."""
_FALLBACK_POLL = 0.02


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended: its exit code (negative: the signal that ended it) and its peak resident bytes."""

    code: int
    peak_memory: int

    @property
    def signal(self) -> str | None:
        """The name of the signal that ended it; None when it ended by itself."""
        if self.code >= 0:
            return None
        try:
            return signal.Signals(-self.code).name
        except ValueError:
            return f"signal {-self.code}"

    @property
    def from_outside(self) -> bool:
        """Whether a signal from outside ended it, as opposed to one of a crash."""
        return -self.code in OUTSIDE_SIGNALS


def private_file(data: bytes = b"") -> IO[bytes]:
    """Return an open, unnamed file that holds `data`, for communication with a child.

    Neither side can block the other, no crash leaves it behind, and (on Linux, where it is in memory) a full disk
    cannot keep a child from reporting that the disk is full.
    """
    if hasattr(os, "memfd_create"):
        file = os.fdopen(os.memfd_create("mlcvbench"), "w+b")
    else:
        file = tempfile.TemporaryFile("w+b")  # noqa: SIM115 - the caller closes it
    file.write(data)
    file.seek(0)
    return file


def wait_for(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait until the process has ended, at most `seconds`; it is not reaped, so its group id stays reserved."""
    if hasattr(os, "pidfd_open"):
        descriptor = os.pidfd_open(process.pid)
        try:
            ready, _, _ = select.select([descriptor], [], [], max(seconds, 0.0))
        finally:
            os.close(descriptor)
        return bool(ready)
    deadline = time.monotonic() + seconds
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() >= deadline:
            return False
        time.sleep(_FALLBACK_POLL)
    return True


def end_tree(process: subprocess.Popen[bytes], grace: float = KILL_GRACE_SECONDS) -> None:
    """Ask the process's group to end and, after `grace` seconds or an interrupt, kill it and all its descendants."""
    family = _descendants(process.pid)
    try:
        if grace > 0:
            _signal_group(process.pid, signal.SIGTERM)
            wait_for(process, grace)
    finally:
        family += _descendants(process.pid)
        _signal_group(process.pid, signal.SIGKILL)
        for pid, started in family:  # those that started their own sessions
            _kill_same(pid, started)


def reap(process: subprocess.Popen[bytes]) -> Ending:
    """Reap an ended process after killing the rest of its group."""
    while not wait_for(process, 60.0):
        pass
    _signal_group(process.pid, signal.SIGKILL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Ending(process.returncode, usage.ru_maxrss * 1024)


def tree_memory(pid: int, limit: int) -> int:
    """Return the resident bytes of a process and its descendants.

    Resident pages are summed per process; only when that sum, which counts shared pages several times, passes `limit`
    is the costlier proportional share read.
    """
    import psutil

    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    resident = _sum(family, "memory_info", "rss")
    if resident <= limit or len(family) == 1:
        return resident
    return min(resident, _sum(family, "memory_full_info", "pss")) or resident


def kernel_oom_kills() -> int:
    """Return how many processes the kernel has killed for lack of memory since boot; 0 where it is not reported."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _descendants(pid: int) -> list[tuple[int, float]]:
    import psutil

    try:
        return [(p.pid, p.create_time()) for p in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def _kill_same(pid: int, started: float) -> None:
    """Kill `pid` unless the id now belongs to a process that started at another time."""
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        if process.create_time() == started:
            process.kill()


def _sum(family: Sequence[object], method: str, field: str) -> int:
    import psutil

    total = 0
    for process in family:
        with contextlib.suppress(psutil.Error):
            total += int(getattr(getattr(process, method)(), field))
    return total
