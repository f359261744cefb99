"""Files of a data set: those below a folder by name, and their digests."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mlcvbench.errors import DataError


def files_by_id(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Return the files below `folder` with these endings by name without ending, such as `drive_1/000001`, sorted.

    What begins with a dot is left out: such files are notes of an operating system, not samples. DataError on two files
    of one name.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        if path.suffix.lower() not in suffixes or not path.is_file() or any(part[0] == "." for part in below.parts):
            continue
        name = below.with_suffix("").as_posix()
        if name in found:
            raise DataError(f"{path}: {found[name].name} has the same name; wanted one file for each sample.")
        found[name] = path
    return found


def file_digest(path: Path) -> bytes:
    """Return the sha256 of a file's bytes; DataError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
