"""Folders of people: the images in one, by name."""

from __future__ import annotations

from pathlib import Path

from mlcvbench.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".pgm", ".tif", ".tiff")


def people_in(folder: Path) -> list[Path]:
    """Return the folders of people in a folder, sorted; names with a leading dot are skipped."""
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))


def images_of(person: Path) -> dict[str, Path]:
    """Return the images in a person's folder by name without suffix, sorted; DataError for two of one name."""
    found: dict[str, Path] = {}
    for path in sorted(person.iterdir()):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith(".") or not path.is_file():
            continue
        if path.stem in found:
            raise DataError(f"{path}: {found[path.stem].name} has the same name; wanted one file per image.")
        found[path.stem] = path
    return found
