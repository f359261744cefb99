"""The sha256 of a file's or folder's content, which identifies it in a setting wherever it is stored.

Digests are kept while the files are unchanged: in the process, and for large files in the cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from mlcvbench.errors import DataError, StoreError

SETTLED_SECONDS = 2.0
"""Seconds that must pass after a change for a later one to show in the file's times: file clocks are coarse."""
LARGE_BYTES = 32 * 2**20
"""Bytes from which on a digest is kept in the cache."""
_remembered: dict[str, str] = {}


def content_hash(path: str | Path) -> str:
    """Return the sha256 hex digest of a file's bytes, or of the names and bytes of all files below a folder.

    Names are those below the folder, so that a copy of it has the same digest; links are followed. DataError when
    something cannot be read or is neither file nor folder.
    """
    try:
        return _hash(Path(path))
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be read ({error.strerror}).") from None


def state_of(path: str | Path) -> str:
    """Return a digest of sizes and times of a file, or of all files below a folder; it differs once something changed.

    DataError as in `content_hash`.
    """
    try:
        return _signature(str(path), _all_of(Path(path)))
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be read ({error.strerror}).") from None


def size_of(path: str | Path) -> int:
    """Return the bytes of a file, or of all files below a folder; DataError as in `content_hash`."""
    try:
        return sum(status.st_size for _, _, status in _all_of(Path(path)))
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be read ({error.strerror}).") from None


def file_hash(paths: list[Path], root: Path) -> str:
    """Return the digest of some files of a folder, as `content_hash` does for all of them."""
    return _digest(str(root), [(path.relative_to(root).as_posix(), path, path.stat()) for path in sorted(paths)])


def _hash(path: Path) -> str:
    return _digest(str(path), _all_of(path))


def _all_of(path: Path) -> list[tuple[str, Path, os.stat_result]]:
    """Return name, path and state of a file, or of all below a folder, sorted."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        return sorted(_files(path, path, ()), key=lambda found: Path(found[0]))
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{path}: wanted a file or a folder, got neither.")
    return [("", path, status)]


def _files(folder: Path, root: Path, above: tuple[tuple[int, int], ...]) -> Iterator[tuple[str, Path, os.stat_result]]:
    """Yield name, path and state of every regular file below `root`; a link to a folder above is not entered."""
    here = folder.stat()
    own = (here.st_dev, here.st_ino)
    if own in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)
            if entry.is_dir():
                yield from _files(path, root, (*above, own))
            elif entry.is_file():
                yield path.relative_to(root).as_posix(), path, entry.stat()


def _signature(place: str, files: list[tuple[str, Path, os.stat_result]]) -> str:
    signature = hashlib.sha256(place.encode("utf-8", "surrogateescape"))
    for name, _, status in files:
        parts = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        signature.update(f"\n{name}\0{parts}".encode("utf-8", "surrogateescape"))
    return signature.hexdigest()


def _digest(place: str, files: list[tuple[str, Path, os.stat_result]]) -> str:
    known = _signature(place, files)
    if known in _remembered:
        return _remembered[known]
    large = sum(status.st_size for _, _, status in files) >= LARGE_BYTES
    found = (_cached(known) if large else None) or _read(files)
    newest = max((max(status.st_mtime, status.st_ctime) for _, _, status in files), default=0.0)
    if time.time() - newest > SETTLED_SECONDS:
        _remembered[known] = found
        if large:
            _cache(known, found)
    return found


def _read(files: list[tuple[str, Path, os.stat_result]]) -> str:
    digest = hashlib.sha256()
    for name, path, _ in files:
        if name:
            digest.update(f"{name}\0".encode("utf-8", "surrogateescape"))
        with path.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    return digest.hexdigest()


def _cached(signature: str) -> str | None:
    from mlcvbench.storage import cache

    folder = cache.get("digests", signature)
    return (folder / "sha256").read_text() if folder is not None else None


def _cache(signature: str, digest: str) -> None:
    from mlcvbench.storage import cache

    with contextlib.suppress(StoreError):  # on a full disk the next process reads the file again; this run goes on
        cache.put("digests", signature, lambda folder: _write(folder, digest))


def _write(folder: Path, digest: str) -> None:
    (folder / "sha256").write_text(digest)
