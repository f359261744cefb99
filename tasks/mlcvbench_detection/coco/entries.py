"""The lists of a COCO annotation file, as objects or as columns, behind one set of checks.

Columns are the fast path: pyarrow reads the whole file without a Python object per annotation. Missing fields or
unusual types fall back to objects, which give precise errors.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.errors import DataError, short
from mlcvbench_detection.coco.json_columns import NotUniformError, plain
from mlcvbench_detection.geometry.ragged import Ragged, starts_of
from mlcvbench_detection.predictions import FARTHEST

LISTS = ("images", "annotations", "categories")
FEDERATED = ("neg_category_ids", "not_exhaustive_category_ids")
"""Fields of images that say which classes were annotated in an image: LVIS."""
UNUSED_FLAGS = ("ignore", "isgroupof", "IsGroupOf")
"""Fields of annotations that other evaluations use and COCO's does not."""
_WHOLE = frozenset({int})
_NUMBER = frozenset({int, float})


class Entries(ABC):
    """One list of an annotation file; DataError names the file, the entry (from 0) and the field."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name

    @abstractmethod
    def integers(self, field: str, default: int | None = None) -> Array:
        """Return a field of integers, int64 (N,); it must be there unless it has a default."""

    @abstractmethod
    def numbers(self, field: str) -> Array:
        """Return a field of numbers, float64 (N,), NaN where it is missing."""

    @abstractmethod
    def lists(self, field: str) -> Ragged:
        """Return a field of lists of integers, which every entry must have, as a column of int64."""

    @abstractmethod
    def texts(self, field: str, default: str | None = None) -> list[str]:
        """Return a field of text."""

    @abstractmethod
    def flags(self, field: str) -> Array:
        """Return a field of 0, 1, false or true as int64 (N,), 0 where it is missing."""

    @abstractmethod
    def raised(self, field: str) -> Array:
        """Return bool (N,): where an optional flag is a number other than 0, or true."""

    @abstractmethod
    def has(self, field: str) -> Array:
        """Return bool (N,): which entries have the field; null counts as missing."""

    @abstractmethod
    def ids(self) -> Array:
        """Return the field id, int64 (N,), or text (N,) when all are text."""

    @abstractmethod
    def _boxes(self) -> Array:
        """Return the field bbox, float64 (N, 4)."""

    def at(self, row: int) -> str:
        """Return the location of an entry, for messages."""
        return f"{self.path}, {self.name}[{row}]"

    def refuse(self, wrong: Array, field: str, wanted: str, values: Array) -> None:
        """Raise for the first wrong value."""
        if wrong.any():
            row = int(np.argmax(wrong))
            raise DataError(f"{self.at(row)}.{field}: wanted {wanted}, got {short(values[row].tolist())}.")

    def boxes(self) -> Array:
        """Return the boxes, float64 (N, 4) xywh."""
        boxes = self._boxes()
        good = (np.abs(boxes) <= FARTHEST).all(axis=1) & (boxes[:, 2:] >= 0).all(axis=1)
        self.refuse(np.asarray(~good), "bbox", f"numbers within {FARTHEST:g} pixels and no negative size", boxes)
        return boxes

    def unique_ids(self, *, text: bool = False) -> Array:
        """Return the ids, int64 (N,), or as `text` when all are and that is allowed.

        Two entries of one id are refused: pycocotools keeps the last one twice.
        """
        ids = self.ids() if text else self.integers("id")
        known, first = np.unique(ids, return_index=True)
        if len(known) < len(ids):
            row = int(np.setdiff1d(np.arange(len(ids)), first)[0])
            raise DataError(f"{self.at(row)}.id: {ids[row]} is the id of another entry too.")
        return ids

    def places(self, field: str, known: Array, what: str) -> Array:
        """Return the index of each entry's value in the sorted `known`, which are integers or texts."""
        values = np.array(self.texts(field), np.str_) if known.dtype.kind == "U" else self.integers(field)
        return self.found(field, values, known, what)

    def found(self, field: str, values: Array, known: Array, what: str, rows: Array | None = None) -> Array:
        """Return the index of each value in the sorted `known`; `rows`: the entry of each value, when not one per
        entry.
        """
        place = np.minimum(np.searchsorted(known, values), len(known) - 1)
        strange = known[place] != values
        if strange.any():
            first = int(np.argmax(strange))
            at = self.at(first if rows is None else int(rows[first]))
            raise DataError(f"{at}.{field}: {short(values[first].item())} is the id of no {what} of the file.")
        return place


class ObjectEntries(Entries):
    """Entries as Python objects."""

    def __init__(self, path: Path, name: str, rows: Sequence[Any]) -> None:
        super().__init__(path, name)
        self.rows = rows
        row = next((row for row, entry in enumerate(rows) if not isinstance(entry, dict)), None)
        if row is not None:
            raise DataError(f"{self.at(row)}: wanted an object, got {short(rows[row])}.")

    def integers(self, field: str, default: int | None = None) -> Array:
        return self._whole(field, self._column(field, _WHOLE, default))

    def numbers(self, field: str) -> Array:
        return np.array(self._column(field, _NUMBER, math.nan), dtype=np.float64)

    def lists(self, field: str) -> Ragged:
        values = self._column(field, frozenset({list}))
        for row, members in enumerate(values):
            if not set(map(type, members)) <= _WHOLE:
                raise DataError(f"{self.at(row)}.{field}: wanted integers, got {short(members)}.")
        flat = [member for members in values for member in members]
        return Ragged(np.array(flat, dtype=np.int64), starts_of(np.array([len(members) for members in values])))

    def texts(self, field: str, default: str | None = None) -> list[str]:
        return self._column(field, frozenset({str}), default)

    def flags(self, field: str) -> Array:
        return self._whole(field, self._column(field, frozenset({int, bool}), 0))

    def raised(self, field: str) -> Array:
        values = [row.get(field) for row in self.rows]
        return np.array([isinstance(value, int | float) and bool(value) for value in values], dtype=bool)

    def has(self, field: str) -> Array:
        return np.array([row.get(field) is not None for row in self.rows], dtype=bool)

    def ids(self) -> Array:
        if self.rows and all(type(row.get("id")) is str for row in self.rows):
            return np.array([row["id"] for row in self.rows])
        return self.integers("id")

    def _boxes(self) -> Array:
        values = self._column("bbox", frozenset({list}))
        for row, box in enumerate(values):
            if len(box) != 4 or not set(map(type, box)) <= _NUMBER:
                raise DataError(f"{self.at(row)}.bbox: wanted [x, y, width, height], got {short(box)}.")
        return np.array(values, dtype=np.float64).reshape(-1, 4)

    def _column(self, field: str, types: frozenset[type], default: Any = None) -> list[Any]:
        """Return a field of every entry; it must be of one of `types`, and there unless it has a default."""
        values = [row.get(field, default) for row in self.rows]
        if default is not None:
            values = [default if value is None else value for value in values]  # null counts as missing
        if set(map(type, values)) <= types:
            return values
        row = next(row for row, value in enumerate(values) if type(value) not in types)
        if field not in self.rows[row]:
            raise DataError(f"{self.at(row)}: no field {field!r}.")
        wanted = " or ".join(sorted(kind.__name__ for kind in types))
        raise DataError(f"{self.at(row)}.{field}: wanted {wanted}, got {short(values[row])}.")

    def _whole(self, field: str, values: list[Any]) -> Array:
        try:
            return np.array(values, dtype=np.int64)
        except OverflowError:
            row = next(row for row, value in enumerate(values) if abs(value) >= 2**63)
            raise DataError(f"{self.at(row)}.{field}: {short(values[row])} is not a 64-bit integer.") from None


class ColumnEntries(Entries):
    """Entries as columns of pyarrow; NotUniformError when one lacks a field."""

    def __init__(self, path: Path, name: str, structs: Any) -> None:
        super().__init__(path, name)
        self._structs = structs

    def integers(self, field: str, default: int | None = None) -> Array:
        if default is not None and self._absent(field):
            return np.full(len(self._structs), default, dtype=np.int64)
        return plain(self._filled(field), "i8")

    def numbers(self, field: str) -> Array:
        if self._absent(field):
            return np.full(len(self._structs), np.nan)
        return plain(self._filled(field), "f8")

    def lists(self, field: str) -> Ragged:
        lists = self._filled(field)
        offsets = plain(lists.offsets, "i4").astype(np.int64)
        members = lists.values.slice(offsets[0], offsets[-1] - offsets[0])
        if members.null_count:
            raise NotUniformError
        return Ragged(plain(members, "i8"), offsets - offsets[0])

    def texts(self, field: str, default: str | None = None) -> list[str]:
        if default is not None and self._absent(field):
            return [default] * len(self._structs)
        texts: list[str] = self._filled(field).to_pylist()
        return texts

    def flags(self, field: str) -> Array:
        return self.integers(field, 0)

    def raised(self, field: str) -> Array:
        return np.asarray(self.flags(field) != 0)

    def has(self, field: str) -> Array:
        return np.full(len(self._structs), not self._absent(field))

    def ids(self) -> Array:
        return self.integers("id")

    def _boxes(self) -> Array:
        lists = self._filled("bbox")
        offsets = plain(lists.offsets, "i4")
        sides = lists.values.slice(offsets[0], offsets[-1] - offsets[0])
        if sides.null_count or (np.diff(offsets) != 4).any():
            raise NotUniformError
        return plain(sides, "f8").reshape(-1, 4)

    def _absent(self, field: str) -> bool:
        column = self._structs.field(field)
        return bool(column.null_count == len(column))

    def _filled(self, field: str) -> Any:
        column = self._structs.field(field)  # entries are never null, so a null belongs to the field itself
        if column.null_count:
            raise NotUniformError
        return column


def read_columns(path: Path) -> Mapping[str, Entries]:
    """Return the three lists of a file as columns; NotUniformError when it is not an object with three such lists."""
    import pyarrow as pa
    from pyarrow import json

    whole, number, text = pa.int64(), pa.float64(), pa.string()
    image = {"id": whole, "height": whole, "width": whole, "file_name": text}
    image |= dict.fromkeys(FEDERATED, pa.list_(whole))
    annotation = {"id": whole, "image_id": whole, "category_id": whole, "area": number, "iscrowd": whole}
    annotation |= dict.fromkeys(UNUSED_FLAGS, whole)
    fields = {"images": image, "annotations": {**annotation, "bbox": pa.list_(number)}}
    fields["categories"] = {"id": whole, "name": text, "frequency": text}
    schema = pa.schema([(name, pa.list_(pa.struct(list(kinds.items())))) for name, kinds in fields.items()])
    size = path.stat().st_size
    try:
        table = json.read_json(
            path,
            read_options=json.ReadOptions(use_threads=False, block_size=size + 1),
            parse_options=json.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior="ignore", newlines_in_values=True
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise NotUniformError from None
    lists = {name: table.column(name).combine_chunks() for name in LISTS}
    if table.num_rows != 1 or any(column.null_count for column in lists.values()):
        raise NotUniformError
    entries = {name: column.values for name, column in lists.items()}
    if any(structs.null_count for structs in entries.values()):
        raise NotUniformError
    return {name: ColumnEntries(path, name, structs) for name, structs in entries.items()}


def read_objects(path: Path, content: Any) -> Mapping[str, ObjectEntries]:
    """Return the three lists of a parsed file as objects."""
    if not isinstance(content, dict):
        raise DataError(f"{path}: wanted an object with images, annotations and categories, got {short(content)}.")
    for name in LISTS:
        if not isinstance(content.get(name), list):
            raise DataError(f"{path}: wanted a list {name!r}, got {short(content.get(name))}.")
    return {name: ObjectEntries(path, name, content[name]) for name in LISTS}
