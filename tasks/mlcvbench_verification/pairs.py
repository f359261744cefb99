"""Lists of pairs: indices over the images of a split, so that each image is embedded once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.errors import DataError
from mlcvbench.files.text_lines import Line, read_lines
from mlcvbench.limits import MAX_FOLDS

NO_FOLD = -1


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of images: `first`, `second` int32 (P,) are places in the split, `fold` int16 (P,), -1 without folds.

    `same`, bool (P,): whether each pair shows one person, where a list labels them; None = decided by the images'
    people.
    """

    first: Array
    second: Array
    fold: Array
    same: Array | None = None

    def __len__(self) -> int:
        return len(self.first)

    def genuine(self, identity: Array, rows: Array | slice = slice(None)) -> Array:
        """Return whether pairs show one person, bool: as they are labelled, else where both images have one person.

        `rows`: which pairs; `identity`: the person of each image (N,).
        """
        if self.same is not None:
            labelled: Array = self.same[rows]
            return labelled
        equal: Array = identity[self.first[rows]] == identity[self.second[rows]]
        return equal

    def inside(self, kept: Array) -> Array:
        """Return which pairs have both images among the places `kept`, bool (P,)."""
        first, second = self._renumbered(kept)
        both: Array = (first >= 0) & (second >= 0)
        return both

    def within(self, kept: Array) -> Pairs:
        """Return the pairs whose images are both among the places `kept`, renumbered in that order."""
        inside = self.inside(kept)
        first, second = (places[inside].astype(np.int32) for places in self._renumbered(kept))
        return Pairs(first, second, self.fold[inside], None if self.same is None else self.same[inside])

    def _renumbered(self, kept: Array) -> tuple[Array, Array]:
        """Return the places of both images among `kept`, -1 = not there."""
        new = np.full(int(max(self.first.max(initial=0), self.second.max(initial=0), kept.max(initial=0))) + 1, -1)
        new[kept] = np.arange(len(kept))
        return new[self.first], new[self.second]

    def columns(self) -> dict[str, Array]:
        """Return the columns by name, for a fingerprint."""
        columns = {"first": self.first, "second": self.second, "fold": self.fold}
        return columns if self.same is None else {**columns, "same": self.same}


def all_pairs(count: int) -> Pairs:
    """Return every pair of `count` images, the first before the second."""
    places = np.arange(count, dtype=np.int32)
    first = np.repeat(places, places[::-1])
    second = np.concatenate([places[:0], *(places[place + 1 :] for place in range(count))])
    return Pairs(first, second, np.full(len(first), NO_FOLD, dtype=np.int16))


class NamedPairs(NamedTuple):
    """Names of images in order of first mention, the identity of each, and the pairs over them."""

    names: list[str]
    people: list[str]
    pairs: Pairs


def _accept(person: str, number: int) -> str | None:  # noqa: ARG001 - the signature of a check
    """Accept any image."""
    return None


def read_lfw_pairs(path: Path, check: Callable[[str, int], str | None] = _accept) -> NamedPairs:
    """Return the pairs of LFW's `pairs.txt`.

    The first line has the numbers of folds and of pairs; then each fold has so many genuine pairs (`name i j`) and so
    many impostor pairs (`name i other j`). `check(person, number)` returns what is wrong with an image, or None.

    DataError names file and line: a wrong count, numbers that are none, an image paired with itself, one person as
    impostor, what `check` said.
    """
    lines = read_lines(path)
    folds, each = _read_head(path, lines)
    if len(lines) - 1 != 2 * folds * each:
        raise DataError(
            f"{path}: its first line says {folds} folds of {each} genuine and {each} impostor pairs = "
            f"{2 * folds * each} lines, got {len(lines) - 1}."
        )
    places: dict[tuple[str, int], int] = {}
    indices = np.empty((2, len(lines) - 1), dtype=np.int32)
    for row, line in enumerate(lines[1:]):
        images = _parse_pair(path, line, genuine=row % (2 * each) < each)
        for side, image in enumerate(images):
            if image not in places:
                wrong = check(*image)
                if wrong is not None:
                    raise DataError(f"{path}, line {line.number}: {wrong}")
            indices[side, row] = places.setdefault(image, len(places))
    fold = np.repeat(np.arange(folds, dtype=np.int16), 2 * each)
    names = [lfw_name(person, number) for person, number in places]
    return NamedPairs(names, [person for person, _ in places], Pairs(indices[0], indices[1], fold))


def lfw_name(person: str, number: int) -> str:
    """Return the name of an image as in LFW's folders, without suffix.

    >>> lfw_name("Abel_Pacheco", 4)
    'Abel_Pacheco/Abel_Pacheco_0004'
    """
    return f"{person}/{person}_{number:04d}"


def _read_head(path: Path, lines: list[Line]) -> tuple[int, int]:
    numbers = lines[0].text.split() if lines else []
    if len(numbers) != 2 or not all(_is_number(number) for number in numbers):
        got = lines[0].text[:80] if lines else "nothing"
        raise DataError(f"{path}, line 1: wanted the numbers of folds and of pairs, such as '10 300', got {got!r}.")
    folds, each = map(int, numbers)
    if folds > MAX_FOLDS:
        raise DataError(f"{path}, line 1: wanted at most {MAX_FOLDS} folds, got {folds}.")
    return folds, each


def _parse_pair(path: Path, line: Line, *, genuine: bool) -> tuple[tuple[str, int], tuple[str, int]]:
    where, cells = f"{path}, line {line.number}: ", line.text.split()
    if len(cells) != (3 if genuine else 4):
        form = "a genuine pair 'name i j'" if genuine else "an impostor pair 'name i other j'"
        raise DataError(f"{where}wanted {form}, got {line.text[:80]!r}.")
    person, other = cells[0], cells[0] if genuine else cells[2]
    numbers = (cells[1], cells[-1])
    bad = next((number for number in numbers if not _is_number(number)), None)
    if bad is not None:
        raise DataError(f"{where}wanted an image number from 1, got {bad[:80]!r}.")
    bad = next((name for name in (person, other) if "/" in name or "\\" in name or name.startswith(".")), None)
    if bad is not None:
        raise DataError(f"{where}wanted the name of a person, got {bad[:80]!r}.")
    if genuine and int(numbers[0]) == int(numbers[1]):
        raise DataError(f"{where}pairs image {int(numbers[0])} of {person} with itself.")
    if not genuine and person == other:
        raise DataError(f"{where}wanted two people in an impostor pair, got {person} twice.")
    return (person, int(numbers[0])), (other, int(numbers[1]))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0
