"""The images of docs/classification.md: a folder `pets` of two classes."""

from __future__ import annotations

from pathlib import Path

from support.classification import write_image_folder


def prepare(folder: Path) -> None:
    """Write two test images of each class."""
    write_image_folder(folder / "pets", {"test/cat": 2, "test/dog": 2})
