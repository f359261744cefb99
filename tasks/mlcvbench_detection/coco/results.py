"""COCO results JSON: a list of {"image_id", "category_id", "score", "bbox" and/or "segmentation"}, read into columns.

Files of boxes that repeat one template, and lists of uniform records, are read into columns without a Python object per
detection. Small files and anything else are read by orjson, where errors are also reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlcvbench.contract import Array, Notice, Predictions
from mlcvbench.errors import DataError, MlcvbenchError, did_you_mean, short
from mlcvbench_detection.coco import json_columns
from mlcvbench_detection.coco.image_names import UNKNOWN, Images
from mlcvbench_detection.coco.json_columns import JsonTable, give_back, read_json_table
from mlcvbench_detection.coco.json_files import check_size, read_json
from mlcvbench_detection.coco.uniform import read_uniform
from mlcvbench_detection.geometry.masks import read_segmentation
from mlcvbench_detection.geometry.ragged import Labels, Ragged, find, starts_of
from mlcvbench_detection.geometry.rle import BadMask, Masks, decode_text
from mlcvbench_detection.predictions import FARTHEST, RaggedMasks


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the results must fit: images and their sizes (U, 2), published category ids, masks or not.

    `error`: what to raise.
    """

    images: Images
    sizes: Array | None
    categories: Sequence[int]
    masks: bool
    error: type[MlcvbenchError] = DataError


class Read(NamedTuple):
    """The detections of a file, and what was guessed to read them."""

    predictions: Predictions
    notices: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class _Columns:
    """What a file holds, row by row: `image` int64 or text, `category` int64, `score` float64, `xywh`, `masks`.

    `fault`: the first segmentation that is not a mask.
    """

    image: Array
    category: Array
    score: Array
    xywh: Array | None
    masks: Masks | None
    fault: BadMask | None = None


def read_results(path: Path, wanted: Wanted) -> Read:
    """Return the detections of a file, ordered by image, in file order within each.

    An error names the file, the record (from 0) and the field.
    """
    check_size(path, wanted.error)
    large = path.stat().st_size > json_columns.SMALL
    columns = _from_columns(path, wanted) if large and wanted.images.numbered else None
    if columns is None:
        columns = _from_objects(path, read_json(path, wanted.error), wanted)
    return _aligned(path, columns, wanted)


def _from_columns(path: Path, wanted: Wanted) -> _Columns | None:
    """Return the columns of a file of uniform records; None for any other file."""
    uniform = None if wanted.masks else read_uniform(path)
    give_back()
    if uniform is not None:
        return _Columns(uniform["image_id"], uniform["category_id"], uniform["score"], uniform["bbox"], None)
    table = read_json_table(path)
    return None if table is None else _from_table(table, wanted)


def _from_table(table: JsonTable, wanted: Wanted) -> _Columns | None:
    """Return the columns of a table of records of one form; None when the form is not the usual one."""
    names = ("image_id", "category_id", "score")
    if not table.rows or any(table.nulls(name) for name in names):
        return None
    boxes = table.nulls("bbox") == 0
    text = table.text("segmentation", "counts") if wanted.masks or not boxes else None
    if (wanted.masks or not boxes) and text is None:
        return None
    xywh = table.rectangle("bbox", 4) if boxes else None
    if boxes and xywh is None:
        return None
    masks, fault = None, None
    if text is not None:
        size = table.rectangle("segmentation", 2, "size")
        if size is None:
            return None
        read = decode_text(*text, size)
        masks, fault = (None, read) if isinstance(read, BadMask) else (read, None)
    image, category, score = (table.numbers(name) for name in names)
    return _Columns(image, category, score, xywh, masks, fault)


def _from_objects(path: Path, records: Any, wanted: Wanted) -> _Columns:
    if not isinstance(records, list):
        raise wanted.error(f"{path}: wanted a list of results, got {_what_is(records)}.")
    boxed = bool(records) and isinstance(records[0], dict) and bool(records[0].get("bbox"))
    masked = bool(records) and (wanted.masks or not boxed)
    reader = _ObjectReader(path, wanted.error)
    for row, record in enumerate(records):
        reader.check(row, record, boxed)
    named = [record["image_id"] for record in records]
    image: Array = np.array(named, dtype=np.int64 if all(type(name) is int for name in named) else np.str_)
    boxes = [record["bbox"] for record in records] if boxed else []
    masks, fault = _object_masks(records, image, wanted) if masked else (None, None)
    return _Columns(
        image,
        np.array([record["category_id"] for record in records], dtype=np.int64),
        np.array([record["score"] for record in records], dtype=np.float64),
        np.array(boxes, dtype=np.float64).reshape(-1, 4) if boxed or not records else None,
        masks if masked else (Masks.join([]) if wanted.masks else None),
        fault,
    )


def _what_is(content: Any) -> str:
    """Describe the content of a file that is not a list."""
    if not isinstance(content, dict):
        return str(type(content).__name__)
    annotations = " (an annotation file)" if {"images", "annotations", "categories"} <= set(content) else ""
    return f"an object with {short(', '.join(map(str, content)))}{annotations}"


@dataclass(frozen=True, slots=True)
class _ObjectReader:
    path: Path
    error: type[MlcvbenchError]

    def check(self, row: int, record: Any, boxed: bool) -> None:
        """Refuse a record whose fields are missing or of the wrong type."""
        if not isinstance(record, dict):
            raise self.error(f"{self.path}, [{row}]: wanted an object, got {short(record)}.")
        self._field(row, record, "image_id", {int, str}, "an integer or text")
        self._field(row, record, "category_id", {int}, "an integer")
        self._field(row, record, "score", {int, float}, "a number")
        if boxed:
            box = record.get("bbox")
            if not isinstance(box, list) or len(box) != 4 or any(type(v) not in {int, float} for v in box):
                raise self.error(
                    f"{self.path}, [{row}].bbox: wanted [x, y, width, height] as in the first result, got {short(box)}."
                )

    def _field(self, row: int, record: Mapping[str, Any], name: str, types: set[type], what: str) -> None:
        if name not in record:
            got = ", ".join(map(str, record)) or "nothing"
            raise self.error(f"{self.path}, [{row}]: no field {name!r}; got {short(got)}.")
        value = record[name]
        if type(value) not in types or (type(value) is int and abs(value) >= 2**63):
            raise self.error(f"{self.path}, [{row}].{name}: wanted {what}, got {short(value)}.")


def _object_masks(records: list[Any], image: Array, wanted: Wanted) -> tuple[Masks | None, BadMask | None]:
    """Return the masks of records, or the first invalid one."""
    units = wanted.images.place(image).unit.tolist()
    parts = []
    for row, record in enumerate(records):
        given = record.get("segmentation")
        if not given:
            return None, BadMask(row, "there is none, or it is empty")
        unit = units[row]
        size = _own_size(given) if wanted.sizes is None or unit == UNKNOWN else wanted.sizes[unit].tolist()
        read = read_segmentation(given, *size) if size else BadMask(0, "wanted an object with size and counts")
        if isinstance(read, BadMask):
            return None, BadMask(row, read.reason)
        parts.append(read)
    return Masks.join(parts), None


def _own_size(segmentation: Any) -> list[int] | None:
    size = segmentation.get("size") if isinstance(segmentation, dict) else None
    return size if isinstance(size, list) and len(size) == 2 and all(type(v) is int for v in size) else None


def _aligned(path: Path, columns: _Columns, wanted: Wanted) -> Read:
    """Check values against the data set and order the detections by image."""
    unit, notices = wanted.images.place(columns.image)
    _check_images(path, columns.image, unit, wanted)
    label = _labels(path, columns.category, wanted)
    _check_values(path, columns, wanted)
    _check_masks(path, columns, unit, wanted)
    starts = starts_of(np.bincount(unit, minlength=len(wanted.images.ids)))
    in_order = bool((unit[1:] >= unit[:-1]).all())
    order: Any = slice(None) if in_order else np.argsort(unit, kind="stable")
    predictions: Predictions = {
        "scores": Ragged(columns.score[order], starts),
        "labels": Labels(label[order], starts, wanted.categories),
    }
    if columns.xywh is not None:
        predictions["xywh"] = Ragged(columns.xywh[order], starts)
    if columns.masks is not None:
        predictions["masks"] = RaggedMasks(columns.masks if in_order else columns.masks[order], starts)
    return Read(predictions, notices)


def _check_images(path: Path, image: Array, unit: Array, wanted: Wanted) -> None:
    """Refuse results for images that are not in the set."""
    strange = unit == UNKNOWN
    if strange.any():
        row, images = int(np.argmax(strange)), wanted.images
        called = f" ({images.files[0]})" if images.files and images.files[0] else ""
        hint = f" The set has images such as {images.ids[0]}{called}." if image.dtype.kind == "U" else ""
        raise wanted.error(
            f"{path}, [{row}].image_id: image {short(image[row].item())} is not in the set of {len(images.ids)} "
            f"images; {int(strange.sum())} of {len(image)} results are for such images.{hint}"
        )


def _labels(path: Path, category: Array, wanted: Wanted) -> Array:
    known = np.asarray(wanted.categories, dtype=np.int64)
    label = find(known, category)
    strange = known[label] != category
    if strange.any():
        row = int(np.argmax(strange))
        near = did_you_mean(str(category[row]), map(str, wanted.categories)) if len(known) <= 8 else ""
        raise wanted.error(
            f"{path}, [{row}].category_id: unknown category {category[row]}; the set has {len(known)} from "
            f"{known.min()} to {known.max()}.{near}"
        )
    return label


def _check_values(path: Path, columns: _Columns, wanted: Wanted) -> None:
    bad = ~np.isfinite(columns.score)
    if bad.any():
        row = int(np.argmax(bad))
        raise wanted.error(f"{path}, [{row}].score: wanted a finite number, got {columns.score[row]}.")
    if columns.xywh is None or _is_plausible(columns.xywh):
        return
    with np.errstate(invalid="ignore"):
        good = (np.abs(columns.xywh) <= FARTHEST).all(axis=1) & (columns.xywh[:, 2:] >= 0).all(axis=1)
    if not good.all():
        row = int(np.argmin(good))
        raise wanted.error(
            f"{path}, [{row}].bbox: wanted [x, y, width, height] within {FARTHEST:g} pixels and no negative size, "
            f"got {columns.xywh[row].tolist()}."
        )


def _is_plausible(xywh: Array) -> bool:
    """Return whether all boxes are valid, which is faster than finding the invalid ones. NaN is invalid."""
    if not len(xywh):
        return True
    with np.errstate(invalid="ignore"):
        return bool(xywh.min() >= -FARTHEST and xywh.max() <= FARTHEST and xywh[:, 2:].min() >= 0)


def _check_masks(path: Path, columns: _Columns, unit: Array, wanted: Wanted) -> None:
    if columns.fault is not None:
        raise wanted.error(f"{path}, [{columns.fault.row}].segmentation: {columns.fault.reason}.")
    if columns.masks is None or wanted.sizes is None:
        return
    strange = (columns.masks.size != wanted.sizes[unit]).any(axis=1)
    if strange.any():
        row = int(np.argmax(strange))
        raise wanted.error(
            f"{path}, [{row}].segmentation: its size {columns.masks.size[row].tolist()} is not that of its image, "
            f"{wanted.sizes[unit[row]].tolist()}."
        )
