"""Files of a data set: those below a folder by name, and their digests."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mlcvbench.errors import DataError


def files_by_id(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Return the files below `folder` with these endings by name without ending, such as `drive_1/000001`, sorted.

    DataError on two files of one name.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in suffixes or not path.is_file():
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise DataError(f"{path}: {found[name].name} has the same name; wanted one file for each sample.")
        found[name] = path
    return found


def found_in(folder: Path, most: int = 3) -> str:
    """Return in words what a folder holds, for messages; `most` names are shown, a folder's with a slash.

    Files that begin with a dot are left out: `holds 40 files and folders, such as a.exr, b.exr, c.exr`.
    """
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if not entries:
        return "is empty"
    shown = ", ".join(f"{path.name}/" if path.is_dir() else path.name for path in entries[:most])
    return f"holds {shown}" if len(entries) <= most else f"holds {len(entries):,} files and folders, such as {shown}"


def file_digest(path: Path) -> bytes:
    """Return the sha256 of a file's bytes; DataError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
