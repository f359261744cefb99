"""Checks the output path of a picture before the work, not after it."""

from __future__ import annotations

import os
from pathlib import Path

from mlcvbench.errors import RequestError, StoreError

PICTURE = ".png"


def refuse_unwritable(path: Path, example: str, *beside: Path) -> None:
    """Refuse a picture, and the files `beside` it, that cannot be written; `example` is a valid name for the message.

    RequestError when it is not a PNG, StoreError when the folder is missing or not writable.
    """
    if path.suffix.lower() != PICTURE:
        raise RequestError(f"out={path}: wanted the name of a PNG file, such as {path.stem or example}{PICTURE}.")
    if not path.parent.is_dir():
        raise StoreError(f"out={path}: there is no folder {str(path.parent)!r}.")
    for file in (path, *beside):
        if file.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
            reason = "is a folder" if file.is_dir() else "its folder cannot be written"
            raise StoreError(f"out={file}: {reason}; choose another file.")
