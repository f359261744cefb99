"""Any folder of faces: one folder per person, all pairs or those of a list; optionally below `train/` and `test/`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlcvbench.contract import InputSpec, LoadedData, Notice, Problem, Split
from mlcvbench.errors import DataError
from mlcvbench_verification.pair_list import people_of, read_pair_list, repeated_pairs
from mlcvbench_verification.pairs import Pairs, all_pairs
from mlcvbench_verification.people import SUFFIXES, images_of, people_in
from mlcvbench_verification.split import FaceSplit

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
    names = [name for name in SPLITS if (root / name).is_dir()]
    split = "test" in names and people_in(root / "test")
    folders = {name: root / name for name in names} if split else {"test": root}
    parts = {name: _read(folder, name, listed) for name, folder in folders.items()}
    people, notices = _people(parts["test"])
    known = {*people, *(person for name, part in parts.items() if name != "test" for person in part.people)}
    splits: dict[str, Split] = {
        name: FaceSplit(name, part.ids, people if name == "test" else part.people, part.files, part.pairs, known=known)
        for name, part in parts.items()
    }
    extra = {"people": "folders" if people is parts["test"].people else "pairs"}
    problem = Problem("verification", (), {"image": InputSpec((None, None, 3))}, extra)
    if listed is not None:
        notices += repeated_pairs(parts["test"].pairs)
    return LoadedData("face-folder", "1", problem, splits, notices=notices)


class _Part(NamedTuple):
    """The images of a split: their names, the folder of each, which is a person, their files, and pairs of them."""

    ids: list[str]
    people: list[str]
    files: list[Path]
    pairs: Pairs


def _read(folder: Path, name: str, listed: Path | None) -> _Part:
    ids: list[str] = []
    people: list[str] = []
    files: list[Path] = []
    for person in people_in(folder):
        for stem, path in images_of(person).items():
            ids.append(f"{person.name}/{stem}")
            people.append(person.name)
            files.append(path)
    if not ids:
        raise DataError(f"{folder}: wanted one folder per person with images ({', '.join(SUFFIXES)}), found none.")
    return _Part(ids, people, files, _pairs_of(folder, name, listed, ids))


def _people(part: _Part) -> tuple[list[str], tuple[Notice, ...]]:
    """Return the person of each image, and the notices about it.

    Where labels of pairs contradict the folders, people are the images joined by genuine pairs instead.
    """
    pairs = part.pairs
    if pairs.same is None:
        return part.people, ()
    _, folder = np.unique(part.people, return_inverse=True)
    other = int(np.count_nonzero(pairs.same != (folder[pairs.first] == folder[pairs.second])))
    if not other:
        return part.people, ()
    text = (
        f"the labels of {other:,} of {len(pairs):,} pairs contradict the folders of their images; the labels "
        "decide, and people are those joined by genuine pairs."
    )
    people = [part.ids[first] for first in people_of(pairs, len(part.ids)).tolist()]
    return people, (Notice("labels-overrule-folders", text, other),)


def _pairs_of(folder: Path, name: str, listed: Path | None, ids: list[str]) -> Pairs:
    if name != "test":
        empty = np.empty(0, dtype=np.int32)
        return Pairs(empty, empty, empty.astype(np.int16))
    if listed is not None:
        return read_pair_list(listed, ids)
    if len(ids) > MOST_FOR_ALL_PAIRS:
        raise DataError(f"{folder}: {len(ids)} images are too many for all pairs; name pairs with data.pairs=FILE.")
    return all_pairs(len(ids))
