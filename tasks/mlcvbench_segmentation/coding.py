"""What the values of label files mean: class lists, label maps, the ignored value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.csv_table import read_rows
from mlcvbench.errors import DataError
from mlcvbench.rasters import read_raster
from mlcvbench.text_lines import read_lines
from mlcvbench_segmentation.counting import ignore_value, map_dtype

IGNORED = "ignore"
_UNKNOWN = -1
_VALUES = 1 << 16


@dataclass(frozen=True, slots=True)
class Coding:
    """The class of each file value: `classes` (65536,) int32 holds 0..C-1, the ignored value, or -1 for unknown."""

    table: Array
    count: int

    @staticmethod
    def plain(count: int, ignore: int | None) -> Coding:
        """Values are class indices as they are; `ignore` (in the files) is not scored."""
        table = np.full(_VALUES, _UNKNOWN, dtype=np.int32)
        table[:count] = np.arange(count)
        if ignore is not None:
            table[ignore] = ignore_value(count)
        return Coding(table, count)

    @staticmethod
    def mapped(pairs: Mapping[int, int | None], count: int) -> Coding:
        """Values have the class `pairs` says, None = not scored; every other value is an error."""
        table = np.full(_VALUES, _UNKNOWN, dtype=np.int32)
        for value, index in pairs.items():
            table[value] = ignore_value(count) if index is None else index
        return Coding(table, count)

    def decode(self, path: Path, *, ignored: bool) -> Array:
        """Return the label map of a file, uint8 or uint16 (H, W); `ignored`: whether ignored pixels are allowed.

        DataError names the file and the first value that means nothing.
        """
        values = read_raster(path)
        table = self.table[:256] if values.dtype == np.uint8 else self.table
        bad = table < 0 if ignored else (table < 0) | (table >= self.count)
        if bad.any():
            present = np.bincount(values.ravel(), minlength=len(table)) > 0
            if (present & bad).any():
                raise DataError(f"{path}: value {np.flatnonzero(present & bad)[0]} {self._meaning(ignored)}")
        decoded: Array = table.astype(map_dtype(self.count))[values]
        return decoded

    def _meaning(self, ignored: bool) -> str:
        known = np.flatnonzero((self.table >= 0) & (self.table < self.count))
        listed = f"{known[0]} to {known[-1]}" if len(known) else "none"
        what = "a class or the ignored value" if ignored else "a class"
        return f"is not {what}; classes have the values {listed}."

    def plain_data(self) -> dict[str, Any]:
        """Return the coding as plain data, for `Problem.extra`."""
        known = np.flatnonzero(self.table >= 0)
        return {"values": known.tolist(), "classes": self.table[known].tolist()}

    @staticmethod
    def from_plain(data: Mapping[str, Any], count: int) -> Coding:
        """Rebuild what `plain_data` gave."""
        table = np.full(_VALUES, _UNKNOWN, dtype=np.int32)
        table[data["values"]] = data["classes"]
        return Coding(table, count)


def read_classes(path: Path) -> tuple[str, ...]:
    """Return the class names of a text file, one a line, blank lines left out. DataError names file and line."""
    names: list[str] = []
    for number, line in read_lines(path):
        if line in names or line == IGNORED:
            raise DataError(f"{path}, line {number}: class name {line!r} is given twice or means 'not scored'.")
        names.append(line)
    if not 2 <= len(names) < _VALUES:
        raise DataError(f"{path}: wanted 2 class names or more, one a line, got {len(names)}.")
    return tuple(names)


def read_label_map(path: Path, classes: Sequence[str], ignore: int | None) -> Coding:
    """Return the coding of a CSV of lines `value,class`: a class name, its index, or `ignore`. Names may repeat.

    DataError names file and line.
    """
    index = {name: place for place, name in enumerate(classes)}
    pairs: dict[int, int | None] = {} if ignore is None else {ignore: None}
    given: set[int] = set()
    for row in read_rows(path):
        cells = [cell.strip() for cell in row.cells]
        value, name = cells if len(cells) == 2 else (cells[0], "")
        if not given and value.lower() == "value":
            continue
        where = f"{path}, line {row.line}: "
        if len(cells) != 2 or not _is_index(value, _VALUES) or int(value) in given:
            raise DataError(
                f"{where}wanted a new value from 0 to {_VALUES - 1}, a comma and a class, got {','.join(cells)[:80]!r}."
            )
        if name not in index and name != IGNORED and not _is_index(name, len(classes)):
            raise DataError(f"{where}class {name[:80]!r} is not in the class list.")
        given.add(int(value))
        pairs[int(value)] = None if name == IGNORED else index[name] if name in index else int(name)
    return Coding.mapped(pairs, len(classes))


def _is_index(text: str, count: int) -> bool:
    """Say whether a text is a number from 0 to `count` - 1."""
    return text.isascii() and text.isdigit() and len(text) <= 9 and int(text) < count
