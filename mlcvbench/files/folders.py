"""Files of a data set: those below a folder, by name, and their digests.

Files whose name, or whose folder's name, begins with a dot are not samples: macOS and editors leave them everywhere.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from mlcvbench.errors import DataError
from mlcvbench.files.remembered import remembered

LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
"""Files that file browsers leave behind under other names."""


def is_litter(name: str) -> bool:
    """Return whether a file or folder of this name was left behind by a program and is not part of the data.

    >>> is_litter("._0001.png"), is_litter("Thumbs.db"), is_litter("0001.png")
    (True, True, False)
    """
    return name.startswith(".") or name.lower() in LITTER


def scanned(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder, sorted by name, without litter, as listed: none of them is opened.

    DataError when the folder cannot be read.
    """
    try:
        with os.scandir(folder) as found:
            return sorted((entry for entry in found if not is_litter(entry.name)), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}).") from None


def entries(folder: Path) -> list[Path]:
    """Return the paths in a folder, sorted by name, without litter; DataError when it cannot be read."""
    return [folder / entry.name for entry in scanned(folder)]


def files_below(folder: Path, suffixes: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the files with these suffixes below `folder`, sorted by parts: relative path with `/`, whole path.

    Litter is skipped, and links to folders are not followed. DataError when a folder cannot be read.
    """
    for entry in scanned(folder) if folder.is_dir() else ():
        if entry.is_dir():
            if not entry.is_symlink():
                yield from ((f"{entry.name}/{name}", path) for name, path in files_below(Path(entry.path), suffixes))
        elif os.path.splitext(entry.name)[1].lower() in suffixes and entry.is_file():  # noqa: PTH122 - it is text
            yield entry.name, entry.path


def files_by_id(folder: Path, suffixes: Collection[str]) -> dict[str, Path]:
    """Return the files below `folder` with these suffixes by name without suffix, such as `drive_1/000001`, sorted.

    Litter is skipped. DataError on two files of the same name.
    """
    found: dict[str, Path] = {}
    for below, path in files_below(folder, suffixes):
        name = below.rpartition(".")[0]
        if name in found:
            raise DataError(f"{path}: {found[name].name} has the same name; wanted one file per sample.")
        found[name] = Path(path)
    return found


def file_digests(paths: Sequence[Path]) -> list[bytes]:
    """Return the sha256 of each file's bytes, cached while a file is unchanged; DataError when one is missing or
    unreadable.
    """
    return remembered("sha256", paths, file_digest)


def file_digest(path: Path) -> bytes:
    """Return the sha256 of a file's bytes; DataError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
