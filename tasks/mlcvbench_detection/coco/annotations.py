"""COCO annotations: `instances_*.json` with images, annotations and categories."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import Array, InputSpec, LoadedData, Notice, Problem, Split
from mlcvbench.errors import DataError, short
from mlcvbench.limits import MAX_PIXELS
from mlcvbench_detection.coco import json_columns
from mlcvbench_detection.coco.entries import (
    FEDERATED,
    UNUSED_FLAGS,
    Entries,
    ObjectEntries,
    read_columns,
    read_objects,
)
from mlcvbench_detection.coco.json_columns import NotUniformError, give_back
from mlcvbench_detection.coco.json_files import check_size, is_compressed, read_json
from mlcvbench_detection.coco.lvis import FREQUENCIES
from mlcvbench_detection.geometry.masks import read_segmentation
from mlcvbench_detection.geometry.ragged import Ragged, starts_of
from mlcvbench_detection.geometry.rle import BadMask, Masks
from mlcvbench_detection.predictions import FARTHEST, RaggedMasks
from mlcvbench_detection.split import DetectionSplit, relative_file
from mlcvbench_detection.wording import counted


def load_coco(
    params: Mapping[str, Any],
    data_seed: int,  # noqa: ARG001 - a loader's signature
    splits: Collection[str] = ("train", "test"),
) -> LoadedData:
    """Return the test split of an annotation file, and the training split when its file is given.

    Images are in ascending order of their ids, classes in that of the category ids, as in pycocotools. The files fix
    the splits, so `data_seed` does not change them. Notices say which missing fields were derived, and which fields
    COCO's protocols ignore.
    """
    masks = bool(params.get("masks"))
    test = _read_file(Path(params["annotations"]), masks)
    found: dict[str, Split] = {"test": test.split("test", params.get("images"))}
    if params.get("train") and "train" in splits:
        train = _read_file(Path(params["train"]), masks)
        if train.classes != test.classes or train.category_ids != test.category_ids:
            raise DataError(f"{train.path}: its categories are not those of {test.path}.")
        found["train"] = train.split("train", params.get("train_images"))
    extra = {"category_ids": test.category_ids, "masks": masks}
    if test.frequency:
        extra["frequency"] = test.frequency
    problem = Problem("detection", test.classes, {"image": InputSpec((None, None, 3))}, extra)
    return LoadedData("coco", "1", problem, found, notices=tuple(test.notices))


def _read_file(path: Path, masks: bool) -> _CocoFile:
    """Return a checked file, read as columns when it is large and regular; masks need Python objects."""
    check_size(path, DataError)
    if not masks and path.stat().st_size > json_columns.SMALL and not is_compressed(path):
        with contextlib.suppress(NotUniformError):
            file = _CocoFile(path, read_columns(path), masks)
            give_back()
            return file
    return _CocoFile(path, read_objects(path, read_json(path, DataError)), masks)


class _CocoFile:
    """A checked annotation file; DataError names the file, the entry (from 0) and the field."""

    def __init__(self, path: Path, lists: Mapping[str, Entries], masks: bool) -> None:
        self.path, self._masks = path, masks
        self.notices: list[Notice] = []
        self._targets: dict[str, Any] = {}
        self._read_categories(lists["categories"])
        self._read_images(lists["images"])
        self._read_annotations(lists["annotations"])

    def split(self, name: str, folder: str | None) -> DetectionSplit:
        """Return the split, its pictures in `folder`."""
        if folder is not None and not Path(folder).is_dir():
            raise DataError(f"{folder}: no such folder; wanted the images of {self.path.name}.")
        return DetectionSplit(
            name,
            ids=self._ids.astype(np.str_),
            targets=self._targets,
            files=self._files,
            folder=None if folder is None else Path(folder),
            classes=self.classes,
        )

    def _read_categories(self, entries: Entries) -> None:
        ids = entries.unique_ids()
        names = entries.texts("name")
        if not len(ids):
            raise DataError(f"{self.path}: has no categories.")
        if len(set(names)) < len(names):
            row = next(row for row, name in enumerate(names) if name in names[:row])
            raise DataError(f"{entries.at(row)}.name: {short(names[row])} is the name of another category too.")
        order = np.argsort(ids)
        self.category_ids = tuple(ids[order].tolist())
        self.classes = tuple(names[row] for row in order)
        letters = entries.texts("frequency", "")
        strange = next((row for row, letter in enumerate(letters) if letter not in ("", *FREQUENCIES)), None)
        if strange is not None:
            raise DataError(f"{entries.at(strange)}.frequency: wanted r, c or f, got {short(letters[strange])}.")
        self.frequency = tuple(letters[row] for row in order) if any(letters) else ()

    def _read_images(self, entries: Entries) -> None:
        ids = entries.unique_ids(text=True)
        if not len(ids):
            raise DataError(f"{self.path}: has no images.")
        sides = []
        for name in ("height", "width"):
            side = entries.integers(name, None if self._masks else 0)
            wrong = (side < int(self._masks)) | (side > MAX_PIXELS)
            least = "1" if self._masks else "0 (unknown)"
            entries.refuse(wrong, name, f"{least} to {MAX_PIXELS} pixels", side)
            sides.append(side)
        sizes = np.stack(sides, axis=1)
        large = sizes.prod(axis=1) > MAX_PIXELS
        if large.any():
            row = int(np.argmax(large))
            raise DataError(f"{entries.at(row)}: {sizes[row, 0]} x {sizes[row, 1]} pixels; the most is {MAX_PIXELS}.")
        files = entries.texts("file_name", "")
        for row, file in enumerate(files):
            if file and not relative_file(file):
                raise DataError(f"{entries.at(row)}.file_name: {short(file)} is not a path inside the image folder.")
        order = np.argsort(ids)
        self._ids, self._sizes, self._files = ids[order], sizes[order], [files[row] for row in order.tolist()]
        if any(entries.has(field).any() for field in FEDERATED):
            for name, field in zip(("negative", "unchecked"), FEDERATED, strict=True):
                lists = entries.lists(field)
                known = entries.found(field, lists.values, np.array(self.category_ids), "category", lists.units)
                self._targets[name] = Ragged(known, lists.starts)[order]

    def _read_annotations(self, entries: Entries) -> None:
        ids = entries.unique_ids()
        unit = entries.places("image_id", self._ids, "image")
        label = entries.places("category_id", np.array(self.category_ids), "category")
        boxes, crowd = entries.boxes(), entries.flags("iscrowd")
        entries.refuse((crowd != 0) & (crowd != 1), "iscrowd", "0 or 1", crowd)
        order = np.argsort(unit, kind="stable")
        starts = starts_of(np.bincount(unit, minlength=len(self._ids)))
        masks = self._read_masks(entries, unit) if isinstance(entries, ObjectEntries) and self._masks else None
        columns = {
            "xywh": boxes,
            "labels": label,
            "area": self._areas(entries, boxes, masks),
            "crowd": crowd.astype(bool),
            "annotation": ids,
        }
        flags = {name: entries.raised(name) for name in UNUSED_FLAGS}
        if "negative" in self._targets:
            columns["ignore"] = flags.pop("ignore")
        self._note_flags(flags, crowd != 0)
        self._targets |= {name: Ragged(values[order], starts) for name, values in columns.items()}
        self._targets["size"] = self._sizes
        if masks is not None:
            self._targets["masks"] = RaggedMasks(masks[order], starts)

    def _areas(self, entries: Entries, boxes: Array, masks: Masks | None) -> Array:
        """Return the areas; where the file has none, those of the masks if read, else of the boxes."""
        area, missing = entries.numbers("area"), ~entries.has("area")
        entries.refuse(~((area >= 0) & (area <= FARTHEST**2)) & ~missing, "area", "a number of square pixels", area)
        if missing.any():
            made = boxes[:, 2] * boxes[:, 3] if masks is None else masks.area().astype(np.float64)
            area = np.where(missing, made, area)
            count, what = int(missing.sum()), "box" if masks is None else "mask"
            text = f"{counted(count, 'annotation', ('has', 'have'))} no area; that of the {what} is taken"
            self.notices.append(Notice("missing-areas", f"{self.path.name}: {text}.", count))
        return area

    def _note_flags(self, flags: Mapping[str, Array], crowd: Array) -> None:
        for name, given in flags.items():
            count = int((given & ~crowd).sum())
            if count:
                text = f"{counted(count, 'annotation', ('has', 'have'))} {name} set and no iscrowd"
                wanted = "the protocols here know iscrowd only, and want them found"
                self.notices.append(Notice("flags-not-obeyed", f"{self.path.name}: {text}; {wanted}.", count))

    def _read_masks(self, entries: ObjectEntries, unit: Array) -> Masks:
        parts = []
        for row, (entry, size) in enumerate(zip(entries.rows, self._sizes[unit].tolist(), strict=True)):
            read = read_segmentation(entry.get("segmentation"), *size)
            if isinstance(read, BadMask):
                raise DataError(f"{entries.at(row)}.segmentation: {read.reason}.")
            parts.append(read)
        return Masks.join(parts)
