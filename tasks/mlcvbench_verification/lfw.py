"""Labeled Faces in the Wild, view 2: `pairs.txt` over folders `Name/Name_0001.jpg`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlcvbench.contract import InputSpec, LoadedData, Problem
from mlcvbench.errors import DataError
from mlcvbench_verification.pairs import read_lfw_pairs
from mlcvbench_verification.split import FaceSplit


def load_lfw(params: Mapping[str, Any], data_seed: int) -> LoadedData:  # noqa: ARG001 - a loader's signature
    """Return the images that the pairs name as the test split, in order of first mention.

    A root without any person's folder will do when only stored predictions are scored; then names and numbers cannot
    be checked. DataError names file and line of a person or an image that does not exist.
    """
    root = Path(params["root"])
    if not root.is_dir():
        raise DataError(f"data.root={root}: no such folder.")
    path = Path(params.get("pairs") or root / "pairs.txt")
    has_images = any(child.is_dir() for child in root.iterdir())

    def check(person: str, number: int) -> str | None:
        if not has_images or _file_of(root, person, number).is_file():
            return None
        if not (root / person).is_dir():
            return f"person {person!r} has no folder in {root}."
        count = sum(1 for _ in (root / person).glob("*.jpg"))
        return f"image {number} of {person!r} does not exist; the folder has {count}."

    named = read_lfw_pairs(path, check)
    files = [(root / name).with_suffix(".jpg") for name in named.names] if has_images else None
    test = FaceSplit("test", named.names, named.people, files, named.pairs)
    extra = {"pairs": "lfw/10fold"}
    return LoadedData(
        "lfw", "1", Problem("verification", (), {"image": InputSpec((None, None, 3))}, extra), {"test": test}
    )


def _file_of(root: Path, person: str, number: int) -> Path:
    return root / person / f"{person}_{number:04d}.jpg"
