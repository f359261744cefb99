"""Images in any folders, with a file of their classes: lines `id,label` or `id label`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array, Notice
from mlcvbench.errors import DataError, did_you_mean
from mlcvbench.files.csv_columns import read_rows
from mlcvbench.files.folders import files_below
from mlcvbench.files.text_lines import numbered_lines
from mlcvbench_classification.class_order import are_numbers, is_number, shown
from mlcvbench_classification.file_split import ENDINGS

HEADERS = ({"id", "image", "file", "filename", "file_name", "name", "path"}, {"label", "class", "class_name", "target"})
"""Accepted names of the two columns in a header, in any case."""


class Labelled(NamedTuple):
    """Image files with their ids, their labels int64 (N,), the classes, and notices of assumptions."""

    files: list[Path]
    ids: list[str]
    labels: Array
    classes: tuple[str, ...]
    notices: tuple[Notice, ...]


class _Line(NamedTuple):
    number: int
    name: str
    label: str


def read_labelled(root: Path, file: Path, listed: Sequence[str] | None, train: Path | None) -> Labelled:
    """Return the images that `file` names, found below `root` but not below `train`, in the order of the lines.

    A label is a class name; where no class is named by a number, a whole number counts `listed` from 0. Without
    `listed`, the classes are the labels in the file, sorted as numbers where all are, else as text. DataError names the
    line of an image that is missing or ambiguous, and of a label that is not a class.
    """
    lines = list(_lines(file))
    if not lines:
        raise DataError(f"{file}: labels no image; wanted lines id,label.")
    names = sorted({line.label for line in lines})
    classes = tuple(listed or (sorted(names, key=int) if are_numbers(names) else names))
    labels, notices = _labels(file, lines, classes)
    files = _Files(root, train)
    found: dict[str, Path] = {}
    for line in lines:
        if line.name in found:
            raise DataError(f"{file}, line {line.number}: image {line.name[:100]!r} is labelled twice.")
        found[line.name] = files.find(line.name, f"{file}, line {line.number}")
    return Labelled(list(found.values()), list(found), labels, classes, notices)


def refuse_strange(root: Path, inside: Path, path: Path) -> None:
    """DataError for a name that is not text, and for a link that leads nowhere or out of `root`, resolved `inside`."""
    if not path.name.isprintable():  # nor are the surrogates for undecodable bytes
        raise DataError(f"{path.parent}: file name {path.name!a} is not plain text; rename it.")
    try:
        outside = not path.resolve(strict=True).is_relative_to(inside)
    except (OSError, RuntimeError):
        raise DataError(f"{path}: is a link that leads nowhere.") from None
    if outside:
        raise DataError(f"{path}: is a link out of {root}; wanted every file inside data.root.")


def _lines(file: Path) -> Iterator[_Line]:
    first = True
    for number, cells in _rows(file):
        if len(cells) != 2 or not all(cell.strip() and cell.isprintable() for cell in cells):
            raise DataError(f"{file}, line {number}: wanted an image and its class, got {','.join(cells)[:80]!r}.")
        name, label = (cell.strip() for cell in cells)
        if not (first and name.lower() in HEADERS[0] and label.lower() in HEADERS[1]):
            yield _Line(number, name, label)
        first = False


def _rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each line, split at commas when the first line has one, else at the last blanks."""
    first = next(numbered_lines(file), None)
    if first is not None and "," in first.text:
        yield from read_rows(file)
    else:
        for number, text in numbered_lines(file):
            yield number, text.rsplit(None, 1)


def _labels(file: Path, lines: Sequence[_Line], classes: Sequence[str]) -> tuple[Array, tuple[Notice, ...]]:
    places = {name: label for label, name in enumerate(classes)}
    numbered = not any(name.isdecimal() for name in classes)
    labels, counted = np.empty(len(lines), dtype=np.int64), 0
    for row, (number, _, name) in enumerate(lines):
        if name in places:
            labels[row] = places[name]
        elif numbered and is_number(name) and int(name) < len(classes):
            labels[row], counted = int(name), counted + 1
        else:
            near = did_you_mean(name[:100], classes)
            raise DataError(f"{file}, line {number}: unknown class {name[:100]!r}.{near}")
    if not counted:
        return labels, ()
    text = f"the labels of {file.name} are numbers and count classes from 0: {shown(classes)}; give names instead."
    return labels, (Notice("class-order-assumed", text, counted),)


class _Files:
    """The image files below a folder, listed only once an image is not found by its path."""

    def __init__(self, root: Path, but: Path | None) -> None:
        self._root, self._inside, self._but = root, root.resolve(), but
        self._by_name: dict[str, list[Path]] | None = None

    def find(self, name: str, where: str) -> Path:
        """Return the file of this path below the folder, else the only one of this name; DataError begins with
        `where`.
        """
        path = self._root / name
        there = path.suffix.lower() in ENDINGS and path.is_file()
        found = [path] if there else self._named(Path(name).name)
        if not found:
            raise DataError(f"{where}: no image {name[:100]!r} below {self._root}.")
        if len(found) > 1:
            one, other = (path.relative_to(self._root).as_posix() for path in found[:2])
            raise DataError(f"{where}: image {name[:100]!r} could be {one} or {other}; give its path.")
        refuse_strange(self._root, self._inside, found[0])
        return found[0]

    def _named(self, name: str) -> list[Path]:
        """Return the images of a name, which may lack its suffix."""
        if self._by_name is None:
            self._by_name = {}
            for _, found in files_below(self._root, ENDINGS):
                path = Path(found)
                if self._but is None or not path.is_relative_to(self._but):
                    for key in (path.name, path.stem):
                        self._by_name.setdefault(key, []).append(path)
        return self._by_name.get(name, [])
