"""The cache: folders under a key of all that they were made from, each complete or absent.

`MLCVBENCH_CACHE` names the place; without it the platform's cache folder is used and, where that cannot be written,
a private folder among the temporary files, with one line on standard error. Deleting the cache is always safe.
"""

from __future__ import annotations

import errno
import functools
import os
import re
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mlcvbench.errors import StoreError
from mlcvbench.storage import claims
from mlcvbench.storage.durable import make_folder, remove_tree, storing, sync_folder, sync_tree

VARIABLE = "MLCVBENCH_CACHE"
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def cache_dir() -> Path:
    """Return the cache folder, created if needed. StoreError when `MLCVBENCH_CACHE` names one that cannot be
    written.
    """
    return _resolve(os.environ.get(VARIABLE, ""))


def get(kind: str, key: str) -> Path | None:
    """Return the folder stored under `kind` and `key`, or None."""
    folder = _place(kind, key)
    return folder if folder.is_dir() else None


def entries(kind: str) -> list[Path]:
    """Return every folder stored under `kind`, the last stored first."""
    place = cache_dir() / kind
    folders = [path for path in place.iterdir() if _SAFE.fullmatch(path.name)] if place.is_dir() else []
    return sorted((path for path in folders if path.is_dir()), key=lambda path: path.stat().st_mtime, reverse=True)


def put(kind: str, key: str, writer: Callable[[Path], None]) -> Path:
    """Store what `writer` writes into the empty folder it is given, and return where it lies.

    The folder appears under its key only when it is complete and on the disk; when another process was first, its
    result is kept and returned. When `writer` raises, nothing is stored; its OSError becomes a StoreError.
    """
    final = _place(kind, key)
    with storing(final.parent):
        make_folder(final.parent)
        claims.remove_pending(final.parent)
        pending = claims.make_pending(final.parent, key)
    try:
        with storing(final):
            writer(pending)
            sync_tree(pending)
            _publish(pending, final)
            sync_folder(final.parent)
    finally:
        remove_tree(pending)
    return final


@contextmanager
def interruptible(kind: str, key: str) -> Iterator[Path | None]:
    """Yield a folder that survives when the process is killed in the block, so that the next one can resume from it.

    It is removed when the block ends, well or by an exception. None when another process is using it.
    """
    folder = _place(kind, key)
    with storing(folder.parent):
        make_folder(folder.parent)
    if claims.claim(folder.parent, key) is not None:
        yield None
        return
    try:
        with storing(folder):
            make_folder(folder)
        try:
            yield folder
        except Exception:
            remove_tree(folder)
            raise
        remove_tree(folder)
    finally:
        claims.release(folder.parent, key)


def _publish(pending: Path, final: Path) -> None:
    try:
        pending.rename(final)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _place(kind: str, key: str) -> Path:
    for name in (kind, key):
        if not _SAFE.fullmatch(name):
            raise StoreError(f"the cache cannot store {name!r}: wanted letters, digits and ._- in a kind and a key.")
    return cache_dir() / kind / key


@functools.cache
def _resolve(given: str) -> Path:
    if given:
        folder = Path(given).expanduser().absolute()
        reason = _refusal(folder)
        if reason:
            raise StoreError(f"cannot write the cache folder {str(folder)!r}: {reason}. Set {VARIABLE} to another one.")
        return folder
    usual = _platform_folder()
    reason = _refusal(usual)
    if not reason:
        return usual
    private = Path(tempfile.gettempdir(), f"mlcvbench-{os.getuid()}")
    sys.stderr.write(
        f"mlcvbench: note: cannot write the cache folder {str(usual)!r} ({reason}); using {str(private)!r}. "
        f"Set {VARIABLE} to choose another.\n"
    )
    reason = _refusal(private) or _not_private(private)
    if reason:
        raise StoreError(f"cannot write the cache folder {str(private)!r}: {reason}. Set {VARIABLE} to another one.")
    return private


def _platform_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("mlcvbench", appauthor=False)).absolute()


def _refusal(folder: Path) -> str | None:
    """Return why nothing can be written into `folder`, or None; a missing folder is created."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return os.strerror(error.errno) if error.errno else str(error)


def _not_private(folder: Path) -> str | None:
    """Return why a folder at a predictable path cannot be trusted, or None."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        return "it belongs to somebody else"
    if status.st_mode & 0o022:
        return "others can write to it"
    return None
