"""Which image of a set a result refers to: by the id in the annotation file, or by a name of the image's file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array, Notice
from mlcvbench_detection.coco.json_columns import are_numbers
from mlcvbench_detection.geometry.ragged import find

UNKNOWN = -1
"""The index of an image that is not in the set."""


class Placed(NamedTuple):
    """The index of each result's image in the set, int64 (N,), `UNKNOWN` for none, and the notices about it."""

    unit: Array
    notices: tuple[Notice, ...] = ()


class Images:
    """The images of a set: their ids as text (U,), and their files, "" where unknown."""

    def __init__(self, ids: Array, files: Sequence[str] = ()) -> None:
        self.ids, self.files = ids, files

    @cached_property
    def numbered(self) -> bool:
        """True when every id is a plain integer."""
        return are_numbers(self.ids)

    def place(self, given: Array) -> Placed:
        """Return the indices of the images that results name, int64 or text (N,), in the set.

        They are ids if all are; else file names, if all match in one way and none is the id of another image.
        """
        by_id = self._by_id(given)
        strange = by_id == UNKNOWN
        if not strange.any():
            return Placed(by_id, self._ambiguous(given, by_id))
        names, first, back = np.unique(given, return_index=True, return_inverse=True)
        as_id = by_id[first]
        for how, known in self._readings(given.dtype.kind != "U"):
            places = np.array([known.get(name, UNKNOWN) for name in names.tolist()])
            if (places != UNKNOWN).all() and ((as_id == UNKNOWN) | (as_id == places)).all():
                text = (
                    f"results name images by {how}, such as {names[0].item()!r}, not by id: all {len(names):,} were "
                    "found that way."
                )
                return Placed(places[back], (Notice("images-by-file-name", text, len(names)),))
        return Placed(by_id)

    def _by_id(self, given: Array) -> Array:
        if given.dtype.kind != "U" and self.numbered:
            known = self.ids.astype(np.int64)
            unit = find(known, given)
            return np.where(known[unit] == given, unit, UNKNOWN)
        unit = find(self.ids, given.astype(np.str_))
        return np.where(self.ids[unit] == given.astype(np.str_), unit, UNKNOWN)

    def _readings(self, numbers: bool) -> list[tuple[str, dict[str | int, int]]]:
        """Return the possible readings of a file name, each with the indices of the unique names."""
        if not any(self.files):
            return []
        stems = [stem_of(file) for file in self.files]
        if numbers:
            return [("the number of their file", _unique([int(stem) if _spells(stem) else None for stem in stems]))]
        return [
            ("file name", _unique(self.files)),
            ("file name without folder", _unique([file.rpartition("/")[2] for file in self.files])),
            ("file name without ending", _unique(stems)),
            ("file name without ending", _unique([file.rpartition(".")[0] or file for file in self.files])),
        ]

    def _ambiguous(self, given: Array, by_id: Array) -> tuple[Notice, ...]:
        """Return a notice when numbers are both ids of the set and file numbers of other images."""
        first = stem_of(self.files[0]) if self.files else ""
        if given.dtype.kind == "U" or not _spells(first) or str(int(first)) == str(self.ids[0]):
            return ()
        [(_, known)] = self._readings(numbers=True)
        here = np.flatnonzero(np.bincount(by_id, minlength=len(self.ids)))
        there = np.array([known.get(int(self.ids[place]), UNKNOWN) for place in here.tolist()], dtype=np.int64)
        if len(here) < 2 or (there == UNKNOWN).any() or (there == here).all():
            return ()
        example = int(np.argmax(there != here))
        one, other = int(here[example]), int(there[example])
        text = (
            f"image ids are taken as ids of the annotation file, where {self.ids[one]} is {self.files[one]!r}; as "
            f"numbers of files they would all be known too, and {self.ids[one]} be {self.files[other]!r}."
        )
        return (Notice("ambiguous-image-ids", text, len(here)),)


def stem_of(file: str) -> str:
    """Return the name of a file without folder and suffix; ten times faster than pathlib.

    >>> stem_of("val/000001.jpg"), stem_of("a")
    ('000001', 'a')
    """
    name = file.rpartition("/")[2]
    return name.rpartition(".")[0] or name


def _spells(stem: str) -> bool:
    """Return whether a name is written in digits, such as 000001."""
    return stem.isascii() and stem.isdecimal() and len(stem) < 19


def _unique(names: Sequence[str | int | None]) -> dict[str | int, int]:
    """Return the index of each name; empty when two images share one."""
    known = {name: place for place, name in enumerate(names) if name not in (None, "")}
    wanted = sum(name not in (None, "") for name in names)
    return known if len(known) == wanted else {}
