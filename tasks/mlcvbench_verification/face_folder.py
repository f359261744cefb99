"""Any folder of faces: one folder a person, all pairs or those of a list; optionally below `train/` and `test/`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import InputSpec, LoadedData, Problem, Split
from mlcvbench.errors import DataError
from mlcvbench_verification.pairs import Pairs, all_pairs, read_pair_list
from mlcvbench_verification.split import FaceSplit

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".pgm", ".tif", ".tiff")
SPLITS = ("train", "val", "test")
MOST_FOR_ALL_PAIRS = 10_000
"""Images; 50 million pairs."""


def load_face_folder(params: Mapping[str, Any], data_seed: int) -> LoadedData:  # noqa: ARG001 - a loader's signature
    """Return the splits of a folder; a root whose `test/` has folders of people is split by its parts.

    DataError names what is missing: the folder, people with images, an image that a pair names.
    """
    root = Path(params["root"])
    if not root.is_dir():
        raise DataError(f"data.root={root}: no such folder.")
    listed = Path(params["pairs"]) if params.get("pairs") else None
    parts = [name for name in SPLITS if (root / name).is_dir()]
    if "test" in parts and any(child.is_dir() for child in (root / "test").iterdir()):
        folders = {name: root / name for name in parts}
    else:
        folders = {"test": root}
    known = {child.name for folder in folders.values() for child in folder.iterdir() if child.is_dir()}
    splits: dict[str, Split] = {name: _read(folder, name, listed, known) for name, folder in folders.items()}
    problem = Problem("verification", (), {"image": InputSpec((None, None, 3))}, {"pairs": "pairs"})
    return LoadedData("face-folder", "1", problem, splits)


def _read(folder: Path, name: str, listed: Path | None, known: set[str]) -> FaceSplit:
    found: dict[str, Path] = {}
    people: list[str] = []
    for person in sorted(child for child in folder.iterdir() if child.is_dir()):
        for path in sorted(person.iterdir()):
            if path.suffix.lower() not in SUFFIXES or not path.is_file():
                continue
            key = f"{person.name}/{path.stem}"
            if key in found:
                raise DataError(f"{path}: {found[key].name} has the same name; wanted one file for each image.")
            found[key] = path
            people.append(person.name)
    if not found:
        raise DataError(f"{folder}: wanted one folder a person with images ({', '.join(SUFFIXES)}), found none.")
    pairs = _pairs_of(folder, name, listed, list(found))
    return FaceSplit(name, list(found), people, list(found.values()), pairs, known=known)


def _pairs_of(folder: Path, name: str, listed: Path | None, ids: list[str]) -> Pairs:
    if name != "test":
        empty = np.empty(0, dtype=np.int32)
        return Pairs(empty, empty, empty.astype(np.int16))
    if listed is not None:
        return read_pair_list(listed, ids)
    if len(ids) > MOST_FOR_ALL_PAIRS:
        raise DataError(f"{folder}: {len(ids)} images are too many for all pairs; name pairs with data.pairs=FILE.")
    return all_pairs(len(ids))
