"""Facts about files, cached by their state: an unchanged data set costs one `stat` per file.

A file is identified by device and inode, and its state by size, mtime and ctime; no program can set the last. Facts
about another state are not used. Where the cache cannot be read or written, everything is computed again.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mlcvbench.errors import StoreError
from mlcvbench.files.ahead import ahead, noted
from mlcvbench.storage import cache
from mlcvbench.storage.digests import SETTLED_SECONDS

if TYPE_CHECKING:
    import sqlite3

Made = TypeVar("Made")
FILE = "files.sqlite"
WORTH_FILES, WORTH_BYTES = 500, 8 * 2**20
"""Number of files or bytes from which on the cache is worth opening."""
WAIT_SECONDS = 5.0
"""Seconds for which another process may lock the file before this one does without it."""


class _State(NamedTuple):
    """The identity of a file and its state; `settled`: whether any later change is certain to be visible."""

    device: int
    inode: int
    size: int
    changed: int
    inode_changed: int
    settled: bool


_RECHECK: ContextVar[dict[tuple[str, _State], bytes] | None] = ContextVar("recheck", default=None)
"""Facts found since the block began, None outside of one."""
_TABLE = (
    "CREATE TABLE IF NOT EXISTS found (device INTEGER, inode INTEGER, kind TEXT, size INTEGER, changed INTEGER, "
    "inode_changed INTEGER, value BLOB, PRIMARY KEY (device, inode, kind)) WITHOUT ROWID"
)
_ASK = "SELECT size, changed, inode_changed, value FROM found WHERE device = ? AND inode = ? AND kind = ?"
_KEEP = "INSERT OR REPLACE INTO found VALUES (?, ?, ?, ?, ?, ?, ?)"
_NUMBERS, _CHECK = struct.Struct("<5q"), struct.Struct("<I")
_LEAST, _MOST = -(2**63), 2**63 - 1
"""What a database holds as a whole number."""


@contextlib.contextmanager
def rechecked(wanted: bool = True) -> Iterator[None]:
    """Have every file read again inside the block, once, whatever is cached; the cache is updated."""
    before = _RECHECK.get()
    token = _RECHECK.set({} if wanted and before is None else before)
    try:
        yield
    finally:
        _RECHECK.reset(token)


def remembered(kind: str, paths: Sequence[Path], find: Callable[[Path], bytes]) -> list[bytes]:
    """Return `find(path)` of each file, from the cache where the file is unchanged since its `kind` was last computed.

    `find` is called by several threads, see `ahead`; its exception for the first failing file is raised.
    """
    states = [_state(path) for path in paths]
    if len(paths) < WORTH_FILES and sum(state.size for state in states if state) < WORTH_BYTES:
        return list(ahead(find, paths))
    seen = _RECHECK.get()
    found = _recall(kind, states) if seen is None else [state and seen.get((kind, state)) for state in states]
    missing = [place for place, value in enumerate(found) if value is None]
    done = 0
    try:
        values = noted(ahead(find, [paths[place] for place in missing]), len(missing))
        for place, value in zip(missing, values, strict=True):
            found[place], done = value, done + 1
            if seen is not None and (state := states[place]):
                seen[kind, state] = value
    finally:
        _keep(kind, [(state, found[place]) for place in missing[:done] if (state := states[place])])
    return [value for value in found if value is not None]


def _state(path: Path) -> _State | None:
    """Return the state of a file, None where it is missing or cannot be stored: the code that reads it reports the
    error.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - half the time of Path.stat, for a million files
    except OSError:
        return None
    if not (_LEAST <= status.st_mtime_ns <= _MOST and _LEAST <= status.st_ctime_ns <= _MOST):
        return None  # some disks hold the year 1
    newest = max(status.st_mtime_ns, status.st_ctime_ns) / 1e9
    return _State(
        status.st_dev,
        status.st_ino - (status.st_ino >> 63 << 64),  # signed, as SQLite stores integers
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        time.time() - newest > SETTLED_SECONDS,
    )


def _recall(kind: str, states: Sequence[_State | None]) -> list[bytes | None]:
    def ask(memory: sqlite3.Connection) -> list[bytes | None]:
        found: list[bytes | None] = []
        for state in states:
            row = memory.execute(_ASK, (state.device, state.inode, kind)).fetchone() if state else None
            found.append(_checked(kind, state, row[3]) if row and state and row[:3] == state[2:5] else None)
        return found

    return _with_memory(ask) or [None] * len(states)


def _keep(kind: str, news: Sequence[tuple[_State, bytes | None]]) -> None:
    rows = [
        (one.device, one.inode, kind, *one[2:5], _signed(kind, one, value))
        for one, value in news
        if one.settled and value is not None
    ]
    if rows:
        _with_memory(lambda memory: memory.executemany(_KEEP, rows))


def _signed(kind: str, state: _State, value: bytes) -> bytes:
    """Return a value behind a checksum of it and of what it was found out about; a database has none of its own."""
    return _CHECK.pack(zlib.crc32(value, zlib.crc32(_NUMBERS.pack(*state[:5]), zlib.crc32(kind.encode())))) + value


def _checked(kind: str, state: _State, kept: object) -> bytes | None:
    """Return the value that `_signed` was given, None for anything else."""
    if not isinstance(kept, bytes):
        return None
    value = kept[_CHECK.size :]
    return value if kept == _signed(kind, state, value) else None


def _with_memory(work: Callable[[sqlite3.Connection], Made]) -> Made | None:
    """Return the result of `work` on the cache in one transaction, None where it cannot be used: locked, a full disk.

    A damaged cache file is removed and starts anew.
    """
    import sqlite3

    try:
        path = cache.cache_dir() / FILE
        with contextlib.closing(sqlite3.connect(path, timeout=WAIT_SECONDS)) as memory, memory:
            memory.execute(_TABLE)
            return work(memory)
    except (StoreError, sqlite3.OperationalError):
        return None
    except sqlite3.DatabaseError:
        with contextlib.suppress(OSError):
            path.unlink()
        return None
