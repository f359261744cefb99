"""Users' pair lists: CSV whose header says which columns are images, folds and labels."""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array, Notice
from mlcvbench.errors import DataError
from mlcvbench.files.csv_columns import read_rows
from mlcvbench.limits import MAX_FOLDS
from mlcvbench_verification.pairs import NO_FOLD, Pairs

FOLDS = ("fold", "folds", "fold_id")
LABELS = ("label", "same", "match", "matched", "is_same", "is_match", "issame", "genuine", "target", "y")
_IMAGES = re.compile(
    r"a|b|left|right|first|second|(?:image|img|file|filename|path|name|id|photo|face)[ _]?(?:[12ab]|left|right)"
)
SAME = frozenset({"1", "1.0", "true", "same", "genuine", "match", "yes", "positive"})
DIFFERENT = frozenset({"0", "0.0", "-1", "false", "different", "impostor", "nonmatch", "non-match", "no", "negative"})
_FORM = "a,b and perhaps fold and label"


class _Columns(NamedTuple):
    """Where the cells of a row are: two images, fold and label (None = no such column), and how many there are."""

    images: tuple[int, int]
    fold: int | None
    label: int | None
    width: int


def read_pair_list(path: Path, ids: list[str]) -> Pairs:
    """Return the pairs of a CSV: names of two images a row, in columns that the header names.

    A list without a header has two columns, `a,b`. With one there may be a column `fold` (numbers from 0) and one of
    `LABELS` (1 or 0, true or false, same or different, and the like), which says of each pair whether it shows one
    person.

    DataError names file and line: an unknown image, an image paired with itself, an invalid fold or label, an unknown
    column.
    """
    places = {name: place for place, name in enumerate(ids)}
    first, second, fold, same = array("i"), array("i"), array("h"), array("b")
    columns: _Columns | None = None
    for row in read_rows(path):
        cells, where = [cell.strip() for cell in row.cells], f"{path}, line {row.line}: "
        if columns is None:
            columns, is_header = _columns_of(where, cells, places)
            if is_header:
                continue
        if len(cells) != columns.width:
            raise DataError(f"{where}wanted {columns.width} cells as in all lines, got {','.join(cells)[:80]!r}.")
        for column, cell in zip((first, second), columns.images, strict=True):
            column.append(_place_of(where, cells[cell], places))
        if first[-1] == second[-1]:
            raise DataError(f"{where}pairs image {ids[first[-1]]} with itself.")
        if columns.fold is not None:
            fold.append(_fold_of(where, cells[columns.fold]))
        if columns.label is not None:
            same.append(_label_of(where, cells[columns.label]))
    if columns is None or not first:
        raise DataError(f"{path}: holds no pair; wanted lines of {_FORM}.")
    return Pairs(
        np.array(first, dtype=np.int32),
        np.array(second, dtype=np.int32),
        np.array(fold, dtype=np.int16) if fold else np.full(len(first), NO_FOLD, dtype=np.int16),
        np.array(same, dtype=bool) if same else None,
    )


def _columns_of(where: str, cells: list[str], places: Mapping[str, int]) -> tuple[_Columns, bool]:
    """Return the columns that a first row names, or has when it is a pair already; and whether it is a header."""
    roles = [_role_of(cell.lower()) for cell in cells]
    if any(cell in places for cell in cells) or not any(roles):
        if len(cells) > 2:
            raise DataError(
                f"{where}has {len(cells)} columns and no header that names them; wanted a first line such as a,b,fold "
                "or a,b,label."
            )
        if len(cells) < 2:
            raise DataError(f"{where}wanted {_FORM}, got {cells[0][:80]!r}.")
        return _Columns((0, 1), None, None, 2), False
    found = {role: [place for place, one in enumerate(roles) if one == role] for role in ("image", "fold", "label")}
    strange = next((cell for cell, role in zip(cells, roles, strict=True) if role is None), None)
    if strange is not None or len(found["image"]) != 2 or len(found["fold"]) > 1 or len(found["label"]) > 1:
        got = f"got {strange[:80]!r}" if strange is not None else f"got {','.join(cells)[:80]!r}"
        raise DataError(
            f"{where}wanted a header of two images (such as a,b), perhaps 'fold', and perhaps a label ("
            f"{', '.join(LABELS)}), {got}."
        )
    one, other = found["image"]
    fold, label = (found[role][0] if found[role] else None for role in ("fold", "label"))
    return _Columns((one, other), fold, label, len(cells)), True


def _role_of(name: str) -> str | None:
    if name in FOLDS or name in LABELS:
        return "fold" if name in FOLDS else "label"
    return "image" if _IMAGES.fullmatch(name) else None


def _place_of(where: str, name: str, places: Mapping[str, int]) -> int:
    if name not in places:
        raise DataError(f"{where}no image {name[:80]!r} in the data set.")
    return places[name]


def _fold_of(where: str, cell: str) -> int:
    if not (cell.isascii() and cell.isdigit() and len(cell) <= 9 and int(cell) < MAX_FOLDS):
        raise DataError(f"{where}wanted a fold from 0 to {MAX_FOLDS - 1}, got {cell[:80]!r}.")
    return int(cell)


def _label_of(where: str, cell: str) -> bool:
    word = cell.lower()
    if word not in SAME and word not in DIFFERENT:
        raise DataError(f"{where}wanted a label (1 or 0, true or false, same or different), got {cell[:80]!r}.")
    return word in SAME


def people_of(pairs: Pairs, count: int) -> Array:
    """Return a person for each of `count` images, int64 (N,), from labelled pairs: those that genuine pairs join.

    People are numbered by their first image.

    >>> same = np.array([True, False, True])
    >>> people_of(Pairs(np.int32([0, 0, 3]), np.int32([2, 1, 2]), np.full(3, -1, np.int16), same), 5).tolist()
    [0, 1, 0, 0, 4]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = pairs.first[pairs.same], pairs.second[pairs.same]
    links = coo_array((np.ones(len(first), dtype=np.int8), (first, second)), shape=(count, count))
    _, person = connected_components(links, directed=False)
    _, start, back = np.unique(person, return_index=True, return_inverse=True)
    found: Array = start[back].astype(np.int64)
    return found


def repeated_pairs(pairs: Pairs) -> tuple[Notice, ...]:
    """Return how many pairs a list holds more than once, in either order; empty when none."""
    low, high = np.minimum(pairs.first, pairs.second), np.maximum(pairs.first, pairs.second)
    again = len(pairs) - len(np.unique(low.astype(np.int64) * (int(high.max(initial=0)) + 1) + high))
    if not again:
        return ()
    text = f"{again:,} of {len(pairs):,} pairs of the list are repeated, and count each time."
    return (Notice("pairs-repeated", text, again),)
