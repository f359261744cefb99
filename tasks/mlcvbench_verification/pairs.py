"""Lists of pairs: indices over the images of a split, so that each image is embedded once."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.csv_table import read_rows
from mlcvbench.errors import DataError
from mlcvbench.limits import MAX_FOLDS
from mlcvbench.text_lines import Line, read_lines

NO_FOLD = -1


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of images: `first`, `second` int32 (P,) are places in the split, `fold` int16 (P,), -1 without folds."""

    first: Array
    second: Array
    fold: Array

    def __len__(self) -> int:
        return len(self.first)

    def within(self, kept: Array) -> Pairs:
        """Return the pairs whose images are both among the places `kept`, renumbered in that order."""
        new = np.full(int(max(self.first.max(initial=0), self.second.max(initial=0), kept.max(initial=0))) + 1, -1)
        new[kept] = np.arange(len(kept))
        first, second = new[self.first], new[self.second]
        inside = (first >= 0) & (second >= 0)
        return Pairs(first[inside].astype(np.int32), second[inside].astype(np.int32), self.fold[inside])

    def columns(self) -> dict[str, Array]:
        """Return the columns by name, for a fingerprint."""
        return {"first": self.first, "second": self.second, "fold": self.fold}


def all_pairs(count: int) -> Pairs:
    """Return every pair of `count` images, the first before the second."""
    first, second = np.triu_indices(count, k=1)
    return Pairs(first.astype(np.int32), second.astype(np.int32), np.full(len(first), NO_FOLD, dtype=np.int16))


class NamedPairs(NamedTuple):
    """Names of images in order of first mention, the identity of each, and the pairs over them."""

    names: list[str]
    people: list[str]
    pairs: Pairs


def _accept(person: str, number: int) -> str | None:  # noqa: ARG001 - the signature of a check
    """Find nothing wrong with an image."""
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
    """Return the name of an image as LFW's folders have it, without ending.

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


def read_pair_list(path: Path, ids: list[str]) -> Pairs:
    """Return the pairs of a CSV with rows `a,b` or `a,b,fold`: names of images, folds from 0; a header may be first.

    DataError names file and line: an unknown image, an image paired with itself, a fold that is no number.
    """
    places = {name: place for place, name in enumerate(ids)}
    columns = array("i"), array("i"), array("i")
    width = 0
    for number, row in enumerate(read_rows(path)):
        cells, where = [cell.strip() for cell in row.cells], f"{path}, line {row.line}: "
        if number == 0:
            width = len(cells)
            if cells[:2] == ["a", "b"] and not {"a", "b"} <= places.keys():
                continue
        if len(cells) != width or width not in (2, 3):
            raise DataError(f"{where}wanted a,b or a,b,fold as in all lines, got {','.join(cells)[:80]!r}.")
        for column, value in zip(columns, _parse_listed(where, cells, places), strict=True):
            column.append(value)
    if not columns[0]:
        raise DataError(f"{path}: holds no pair; wanted lines a,b or a,b,fold.")
    first, second, fold = (np.array(column, dtype=np.int32) for column in columns)
    return Pairs(first, second, fold.astype(np.int16))


def _parse_listed(where: str, cells: list[str], places: Mapping[str, int]) -> tuple[int, int, int]:
    """Return the places of two images and the fold of a row."""
    unknown = next((cell for cell in cells[:2] if cell not in places), None)
    if unknown is not None:
        raise DataError(f"{where}no image {unknown[:80]!r} in the data set.")
    if cells[0] == cells[1]:
        raise DataError(f"{where}pairs image {cells[0]} with itself.")
    if len(cells) == 2:
        return places[cells[0]], places[cells[1]], NO_FOLD
    if not (cells[2].isascii() and cells[2].isdigit() and len(cells[2]) <= 9 and int(cells[2]) < MAX_FOLDS):
        raise DataError(f"{where}wanted a fold from 0 to {MAX_FOLDS - 1}, got {cells[2][:80]!r}.")
    return places[cells[0]], places[cells[1]], int(cells[2])
