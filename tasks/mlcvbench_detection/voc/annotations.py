"""PASCAL VOC folders: Annotations/*.xml, lists of image names in ImageSets/Main, pictures in JPEGImages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from mlcvbench.contract import InputSpec, LoadedData, Problem, Split
from mlcvbench.errors import DataError, did_you_mean, short
from mlcvbench.files.text_lines import plain_number, read_names
from mlcvbench.files.xml_tree import read_xml
from mlcvbench.limits import MAX_PIXELS, MAX_XML_BYTES
from mlcvbench_detection.geometry.ragged import Ragged, starts_of
from mlcvbench_detection.predictions import FARTHEST
from mlcvbench_detection.split import DetectionSplit

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
PUBLISHED_LISTS = ("train", "val", "trainval")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")


def load_voc(params: Mapping[str, Any], data_seed: int) -> LoadedData:  # noqa: ARG001 - a loader's signature
    """Return the list `split` as test split and, when given, the list `train` as training split.

    The published training lists may be absent: the archive of the test images comes without them, and predictions can
    be scored on it.

    Boxes are the inclusive pixel indices of the files, counted from 0 instead of 1: [xmin - 1, ymin - 1, xmax - 1,
    ymax - 1]. The lists fix the splits, so `data_seed` does not change them.
    """
    root = Path(params["root"])
    if not root.is_dir():
        raise DataError(f"data.root={root}: no such folder.")
    wanted, train = params.get("split") or "test", params.get("train")
    parts = {"test": _read_list(root, wanted)}
    absent = train in PUBLISHED_LISTS and not (root / "ImageSets" / "Main" / f"{train}.txt").is_file()
    if train and train != wanted and not absent:
        parts["train"] = _read_list(root, train)
    classes: tuple[str, ...] = CLASSES
    if params.get("classes") == "all":
        classes = tuple(sorted({item.name for part in parts.values() for image in part for item in image.objects}))
        if not classes:
            raise DataError(f"{root}: no image of list {wanted!r} has an object.")
    splits: dict[str, Split] = {name: _split(name, root, part, classes) for name, part in parts.items()}
    problem = Problem("detection", classes, {"image": InputSpec((None, None, 3))})
    return LoadedData("voc", "1", problem, splits)


@dataclass(frozen=True, slots=True)
class _Object:
    name: str
    box: tuple[float, float, float, float]
    difficult: bool


@dataclass(frozen=True, slots=True)
class _Image:
    path: Path
    size: tuple[int, int]
    objects: tuple[_Object, ...]


def _split(name: str, root: Path, images: Sequence[_Image], classes: Sequence[str]) -> DetectionSplit:
    place = {known: label for label, known in enumerate(classes)}
    labels = []
    for image in images:
        for number, item in enumerate(image.objects):
            if item.name not in place:
                raise DataError(
                    f"{image.path}, object {number}: unknown class {item.name[:100]!r}."
                    f"{did_you_mean(item.name[:100], classes)}"
                )
            labels.append(place[item.name])
    corners = np.array([item.box for image in images for item in image.objects], dtype=np.float64).reshape(-1, 4) - 1
    corners[:, 2:] -= corners[:, :2]
    starts = starts_of(np.array([len(image.objects) for image in images]))
    difficult = np.array([item.difficult for image in images for item in image.objects], dtype=bool)
    pictures = root / "JPEGImages"
    return DetectionSplit(
        name,
        ids=np.array([image.path.stem for image in images], dtype=np.str_),
        targets={
            "xywh": Ragged(corners, starts),
            "labels": Ragged(np.array(labels, dtype=np.int64), starts),
            "difficult": Ragged(difficult, starts),
            "size": np.array([image.size for image in images], dtype=np.int64),
        },
        files=[f"{image.path.stem}.jpg" for image in images],
        folder=pictures if pictures.is_dir() else None,
        classes=classes,
    )


def _read_list(root: Path, listed: str) -> list[_Image]:
    if not _NAME.fullmatch(listed):
        raise DataError(f"data.split={short(listed)}: wanted the name of a list such as test.")
    path = root / "ImageSets" / "Main" / f"{listed}.txt"
    return [read_annotation(root / "Annotations" / f"{name}.xml") for name in read_names(path)]


def read_annotation(path: Path) -> _Image:
    """Return the objects of one image; DataError names the file, the object and the field."""
    root = read_xml(path, "the annotation of an image", MAX_XML_BYTES)
    if root.tag != "annotation":
        raise DataError(f"{path}: wanted an <annotation>, got <{root.tag[:60]}>.")
    height, width = (_pixels(path, root, side) for side in ("height", "width"))
    if not height or not width:
        height = width = 0
    if height * width > MAX_PIXELS:
        raise DataError(f"{path}: {height} x {width} pixels; the most is {MAX_PIXELS}.")
    objects = tuple(_read_object(path, number, item) for number, item in enumerate(root.findall("object")))
    return _Image(path, (height, width), objects)


def _read_object(path: Path, number: int, item: Element) -> _Object:
    where = f"{path}, object {number}"
    name = (item.findtext("name") or "").strip()
    if not name:
        raise DataError(f"{where}: no <name>.")
    boxes = item.findall("bndbox")
    if len(boxes) != 1:
        raise DataError(f"{where}: wanted one <bndbox>, got {len(boxes)}.")
    values = []
    for side in ("xmin", "ymin", "xmax", "ymax"):
        text = boxes[0].findtext(side)
        value = plain_number(text)
        if value is None or abs(value) > FARTHEST:
            raise DataError(f"{where}, <{side}>: wanted a number of pixels, got {short(text)}.")
        values.append(value)
    x1, y1, x2, y2 = values
    if x1 > x2 or y1 > y2:
        raise DataError(f"{where}: wanted xmin <= xmax and ymin <= ymax, got {values}.")
    difficult = (item.findtext("difficult") or "0").strip()
    if difficult not in {"0", "1"}:
        raise DataError(f"{where}, <difficult>: wanted 0 or 1, got {short(difficult)}.")
    return _Object(name, (x1, y1, x2, y2), difficult == "1")


def _pixels(path: Path, root: Element, side: str) -> int:
    """Return a side of the image, 0 where unknown: labelling programs write that, or nothing."""
    text = root.findtext(f"size/{side}", "0")
    value = plain_number(text)
    if value is None or value != int(value) or not 0 <= value <= MAX_PIXELS:
        raise DataError(f"{path}, <size>, <{side}>: wanted 0 (unknown) to {MAX_PIXELS} pixels, got {short(text)}.")
    return int(value)
