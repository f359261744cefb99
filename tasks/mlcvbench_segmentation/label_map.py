"""Class lists, and tables that give the class of each value or colour in label files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mlcvbench.errors import DataError
from mlcvbench.files.csv_columns import Row, read_rows
from mlcvbench.files.text_lines import read_lines
from mlcvbench_segmentation.coding import LEVELS, VALUES, Coding
from mlcvbench_segmentation.colors import MAX_COLORS

IGNORED = "ignore"
_COLUMNS = {
    "value": "value",
    "id": "value",
    "class": "class",
    "name": "class",
    "label": "class",
    "r": "r",
    "red": "r",
    "g": "g",
    "green": "g",
    "b": "b",
    "blue": "b",
    "color": "color",
    "colour": "color",
}
"""Accepted column names of a header."""
_WITHOUT_HEADER: dict[int, tuple[str, ...]] = {2: ("value", "class"), 4: ("r", "g", "b", "class")}
_HEX = re.compile(r"#[0-9a-fA-F]{6}")


def read_classes(path: Path) -> tuple[str, ...]:
    """Return the class names of a text file, one per line without blank lines. DataError names file and line."""
    names: list[str] = []
    for number, line in read_lines(path):
        if line in names or line == IGNORED:
            raise DataError(f"{path}, line {number}: class name {line!r} is given twice or means 'not scored'.")
        names.append(line)
    if not 2 <= len(names) < VALUES:
        raise DataError(f"{path}: wanted 2 class names or more, one per line, got {len(names)}.")
    return tuple(names)


def read_label_map(path: Path, classes: Sequence[str], ignore: int | None) -> Coding:
    """Return the coding of a CSV of lines `value,class`, `#rrggbb,class` or `r,g,b,class`.

    A class is a name, its index, or `ignore`; names may repeat, values and colours may not. A header may name the
    columns in any order, and a value beside a colour: value, class (or name), r, g, b or color. `ignore`: a value that
    is not scored even if no line says so. DataError names file and line.
    """
    index = {name: place for place, name in enumerate(classes)}
    values: dict[int, int | None] = {} if ignore is None else {ignore: None}
    colors: dict[int, int | None] = {}
    seen: set[int] = set()
    header: tuple[str, ...] | None = None
    for number, row in enumerate(read_rows(path)):
        cells = [cell.strip() for cell in row.cells]
        if number == 0 and all(cell.lower() in _COLUMNS for cell in cells):
            header = _header(path, row, cells)
            continue
        line = _line(header, cells)
        if line is None or line.value in seen or line.color in colors:
            raise DataError(
                f"{path}, line {row.line}: wanted a new value from 0 to {VALUES - 1} or a new colour (#rrggbb or "
                f"r,g,b), and a class, got {','.join(cells)[:80]!r}."
            )
        meaning = _class_of(f"{path}, line {row.line}: ", line.name, index)
        if line.value is not None:
            seen.add(line.value)
            values[line.value] = meaning
        if line.color is not None:
            colors[line.color] = meaning
    if len(colors) > MAX_COLORS:
        raise DataError(f"{path}: has {len(colors)} colours; the most is {MAX_COLORS}.")
    return Coding.mapped(values, len(classes), colors)


class _Line(NamedTuple):
    """One line: the class `name` of a value, of a colour 0xRRGGBB, or of both."""

    value: int | None
    color: int | None
    name: str


def _header(path: Path, row: Row, cells: Sequence[str]) -> tuple[str, ...]:
    names = tuple(_COLUMNS[cell.lower()] for cell in cells)
    colors = {name for name in names if name in {"r", "g", "b"}}
    whole = colors == {"r", "g", "b"} if colors else bool({"value", "color"} & set(names))
    if "class" not in names or not whole or len(set(names)) < len(names) or ("color" in names and colors):
        raise DataError(
            f"{path}, line {row.line}: wanted a header with class and value, color, or r, g and b, each once, got "
            f"{','.join(cells)[:80]!r}."
        )
    return names


def _line(header: tuple[str, ...] | None, cells: Sequence[str]) -> _Line | None:
    """Return a parsed line, None when it does not match its header or number of cells."""
    columns = header or _WITHOUT_HEADER.get(len(cells), ())
    if not columns or len(cells) != len(columns):
        return None
    given = dict(zip(columns, cells, strict=True))
    if header is None and _HEX.fullmatch(cells[0]):
        given["color"] = given.pop("value")
    has_value, has_color = "value" in given, bool({"color", "r"} & set(given))
    value = int(given["value"]) if has_value and _is_index(given["value"], VALUES) else None
    color = _color(given) if has_color else None
    if (has_value and value is None) or (has_color and color is None):
        return None
    return _Line(value, color, given["class"])


def _color(given: Mapping[str, str]) -> int | None:
    """Return the colour of a line as 0xRRGGBB, None when it is not a colour."""
    if "color" in given:
        return int(given["color"][1:], 16) if _HEX.fullmatch(given["color"]) else None
    levels = [given[name] for name in "rgb"]
    return int.from_bytes(map(int, levels)) if all(_is_index(level, LEVELS) for level in levels) else None


def _class_of(where: str, name: str, index: Mapping[str, int]) -> int | None:
    if name == IGNORED:
        return None
    if name not in index and not _is_index(name, len(index)):
        raise DataError(f"{where}class {name[:80]!r} is not in the class list.")
    return index[name] if name in index else int(name)


def _is_index(text: str, count: int) -> bool:
    """Return whether a text is a number from 0 to `count` - 1."""
    return text.isascii() and text.isdigit() and len(text) <= 9 and int(text) < count
