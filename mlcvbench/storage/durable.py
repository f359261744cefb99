"""Durable writing: fsync of files and folders, hashes, and errors that name the path.

The order is always the same: write, fsync the file, fsync its folder, rename, fsync the parent (SQLite and LWN's
"Ensuring data reaches disk" explain why each step is needed).
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlcvbench.errors import MlcvbenchError, StoreError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn an OSError inside the block into a StoreError that names the path and what to do."""
    try:
        yield
    except OSError as error:
        named = error.filename if isinstance(error.filename, str) else path
        reason = os.strerror(error.errno) if error.errno else str(error)
        advice = "Free some space or choose" if error.errno in FULL else "Choose"
        raise StoreError(f"cannot write {str(named)!r}: {reason}. {advice} another folder.") from error


def message_of(error: BaseException) -> str:
    """Return the message of an error in one sentence; for a full disk, also what to do.

    >>> message_of(OSError(errno.ENOSPC, "No space left on device", "runs/a.png"))
    'no space left on device for a.png; free some space, then the same command resumes.'
    """
    said = str(error).strip() or "no message"
    if isinstance(error, MlcvbenchError):
        return said
    if isinstance(error, OSError) and error.errno in FULL:
        name = f" for {Path(error.filename).name}" if isinstance(error.filename, str) else ""
        reason = os.strerror(error.errno)
        said = f"{reason[0].lower()}{reason[1:]}{name}"
    elif not any(os.strerror(number) in said for number in (errno.ENOSPC, errno.EDQUOT)):
        return said
    return f"{said.rstrip('.')}; free some space, then the same command resumes."


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to `path` (replacing what is there) and fsync it."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_file(path: Path) -> None:
    """Flush an already written file to the disk."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Flush the entries of a folder to the disk, where the file system supports it."""
    try:
        _sync(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot fsync folders
            raise


def sync_tree(folder: Path) -> None:
    """Flush every file and folder under `folder`, and `folder` itself."""
    for parent, _, files in os.walk(folder, topdown=False, onerror=_raise):
        for name in files:
            sync_file(Path(parent, name))
        sync_folder(Path(parent))


def plain_files(folder: Path) -> list[Path]:
    """Return the regular files under `folder`, sorted; links and devices are left out, and links never followed."""
    found = [
        Path(parent, name)
        for parent, _, files in os.walk(folder, onerror=_raise)
        for name in files
        if Path(parent, name).is_file() and not Path(parent, name).is_symlink()
    ]
    return sorted(found)


def sha256_of(path: Path) -> str:
    """Return the sha256 hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_folder(path: Path) -> None:
    """Create `path` with its parents and flush the name of the lowest new folder."""
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        sync_folder(path.parent)


def remove_tree(path: Path) -> None:
    """Remove a folder and all it holds; what cannot be removed stays, for the next clean-up."""
    shutil.rmtree(path, ignore_errors=True)


def _raise(error: OSError) -> None:
    """Keep `os.walk` from silently skipping a folder that cannot be read."""
    raise error


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_text(path: Path, text: str) -> None:
    """Write text atomically: a reader sees the old file or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
