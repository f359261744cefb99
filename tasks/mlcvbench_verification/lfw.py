"""Labeled Faces in the Wild, view 2: `pairs.txt` over folders `Name/Name_0001.jpg`, or aligned as PNG and others."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mlcvbench.contract import InputSpec, LoadedData, Problem
from mlcvbench.errors import DataError
from mlcvbench.files.missing import no_file
from mlcvbench_verification.pairs import lfw_name, read_lfw_pairs
from mlcvbench_verification.people import SUFFIXES, images_of, people_in
from mlcvbench_verification.split import FaceSplit

_SHOWN = 5


def load_lfw(params: Mapping[str, Any], data_seed: int) -> LoadedData:  # noqa: ARG001 - a loader's signature
    """Return the images that the pairs name as the test split, in order of first mention.

    A root without people's folders suffices when only stored predictions are scored; then names and numbers cannot be
    checked. DataError names file and line of a missing person or image, and what is there.
    """
    root = Path(params["root"])
    if not root.is_dir():
        raise DataError(f"data.root={root}: no such folder.")
    path = Path(params.get("pairs") or root / "pairs.txt")
    if not path.is_file():
        raise no_file(path, "LFW's list of pairs; data.pairs=FILE names another file")
    has_images = bool(people_in(root))

    @cache
    def images(person: str) -> dict[str, Path]:
        return images_of(root / person)

    def check(person: str, number: int) -> str | None:
        if not has_images:
            return None
        if not (root / person).is_dir():
            return f"person {person!r} has no folder in {root}."
        stem = Path(lfw_name(person, number)).name
        return None if stem in images(person) else _missing(person, number, stem, images(person))

    named = read_lfw_pairs(path, check)
    files = None
    if has_images:
        files = [images(who)[Path(name).name] for name, who in zip(named.names, named.people, strict=True)]
    test = FaceSplit("test", named.names, named.people, files, named.pairs)
    problem = Problem("verification", (), {"image": InputSpec((None, None, 3))}, {})
    return LoadedData("lfw", "1", problem, {"test": test})


def _missing(person: str, number: int, stem: str, images: Mapping[str, Path]) -> str:
    """Return what was looked for and what is there."""
    names = [path.name for path in images.values()]
    there = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    return (
        f"image {number} of {person!r} does not exist: looked for {stem} with {', '.join(SUFFIXES)}; there "
        f"{'is' if len(names) == 1 else 'are'} {there or 'none'}."
    )
