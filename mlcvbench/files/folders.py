"""Files of a data set: those below a folder by name, and their digests.

What begins with a dot is no sample, nor what lies in a folder that does: macOS and editors leave such files everywhere.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from mlcvbench.errors import DataError

LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
"""What file browsers leave behind under other names."""


def is_litter(name: str) -> bool:
    """Say whether a file or folder of this name was left behind by a program and is no part of the data.

    >>> is_litter("._0001.png"), is_litter("Thumbs.db"), is_litter("0001.png")
    (True, True, False)
    """
    return name.startswith(".") or name.lower() in LITTER


def entries(folder: Path) -> list[Path]:
    """Return what lies in a folder, sorted by name, without litter; DataError when it cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if not is_litter(path.name))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}).") from None


def files_by_id(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Return the files below `folder` with these endings by name without ending, such as `drive_1/000001`, sorted.

    Litter is passed over. DataError on two files of one name.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        if path.suffix.lower() not in suffixes or any(map(is_litter, below.parts)) or not path.is_file():
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
