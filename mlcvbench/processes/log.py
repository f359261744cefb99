"""The log of a run: what the method printed, at most its first and last half MiB."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from mlcvbench.limits import MAX_LOG_HALF

LOG_FILE = "log.txt"
_SLACK = 8 * MAX_LOG_HALF
_PUNCH_HOLE_KEEP_SIZE = 0x03


class RunLog:
    """A file that a process writes to directly. `trim` bounds its disk usage meanwhile, `close` its size.

    A grandchild could hold a pipe open for ever, so the log is a file. `trim` punches a hole into it (Linux; elsewhere
    it does nothing), since truncating a file that is being written would lose output.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.open("ab", buffering=0)
        self._punched = MAX_LOG_HALF

    def trim(self) -> None:
        """Free the disk space between head and tail."""
        until = self.path.stat().st_size - MAX_LOG_HALF
        if until - self._punched < _SLACK:
            return
        fallocate = getattr(ctypes.CDLL(None), "fallocate64", None)
        if fallocate is not None:
            offset, length = ctypes.c_int64(self._punched), ctypes.c_int64(until - self._punched)
            fallocate(self.file.fileno(), _PUNCH_HOLE_KEEP_SIZE, offset, length)
        self._punched = until

    def close(self) -> None:
        """Close the file, cut to its head, a line that states what is missing, and its tail."""
        self.file.close()
        size = self.path.stat().st_size
        missing = size - 2 * MAX_LOG_HALF
        if missing <= 0:
            return
        tail = self._read_from(size - MAX_LOG_HALF)
        os.truncate(self.path, MAX_LOG_HALF)
        with self.path.open("ab") as file:
            file.write(f"\n... {missing} bytes left out ...\n".encode() + tail)

    def ending(self, most: int = 4000) -> str:
        """Return the last `most` bytes as text, undecodable ones replaced."""
        size = self.path.stat().st_size
        return self._read_from(max(0, size - most)).decode("utf-8", "replace").strip()

    def _read_from(self, offset: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(MAX_LOG_HALF)
