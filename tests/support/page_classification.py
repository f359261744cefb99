"""The files of docs/classification.md that are no text: folders of images and of IDX files."""

from __future__ import annotations

from pathlib import Path

from support.classification import write_idx_folder, write_image_folder


def prepare(folder: Path) -> None:
    """Write what the page says of `numbers`, `zoo`, `pets` and `photos`."""
    write_idx_folder(folder / "numbers")
    write_image_folder(folder / "zoo", {"train/cat": 12, "train/dog": 14, "test/cat": 2, "test/dog": 2})
    write_image_folder(folder / "pets", {"test/cat": 2, "test/dog": 2})
    write_image_folder(folder / "photos", {"inbox": 4})
