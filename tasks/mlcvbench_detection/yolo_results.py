"""Detections as YOLO programs save them: a folder with `IMAGE.txt` for each image, a line per detection.

A line is `class cx cy w h confidence`: the index of the class, and the box's centre, width and height relative to the
image.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mlcvbench.contract import Array, External, Notice, Predictions, Problem
from mlcvbench.errors import DataError
from mlcvbench.files.text_lines import numbered_lines, plain_number
from mlcvbench_detection.coco.image_names import Images, stem_of
from mlcvbench_detection.geometry.ragged import Labels, Ragged, starts_of
from mlcvbench_detection.predictions import category_ids
from mlcvbench_detection.wording import counted

_FORM = "'class cx cy w h confidence'"
_MOST = 1.5
"""The largest relative value: boxes may reach slightly beyond their image, pixel values are larger."""


def is_yolo_folder(folder: Path) -> bool:
    """Return whether a folder holds text files."""
    return any(_is_result(path) for path in folder.iterdir())


def read_yolo_results(folder: Path, images: Images, sizes: Array, problem: Problem) -> External:
    """Return the detections of a folder, ordered by image, and what was assumed.

    Files are named like the images' files; an image without one has no detection. Class k is the k-th of the data set,
    for COCO that of the k-th lowest category id. DataError names the file, the line and the field.
    """
    place = _places(images)
    units, labels, numbers = array("q"), array("q"), array("d")
    files = sorted(path for path in folder.iterdir() if _is_result(path))
    for path in files:
        unit = place.get(path.stem)
        if unit is None:
            raise DataError(f"{path}: no image of the {len(images.ids)} of the set is called {path.stem[:80]!r}.")
        height, width = sizes[unit].tolist()
        if not height or not width:
            raise DataError(f"{path}: the size of image {path.stem[:80]!r} is unknown, and boxes are relative to it.")
        for line in numbered_lines(path):
            label, values = _parse(f"{path}, line {line.number}", line.text, problem.classes)
            units.append(unit)
            labels.append(label)
            numbers.extend(values)
    unit_of = np.array(units, dtype=np.int64)
    predictions = _columns(unit_of, np.array(labels), np.array(numbers).reshape(-1, 5), sizes, problem)
    return External(predictions, "folder of YOLO results: boxes", notices=_assumed(files, images, problem))


def _is_result(path: Path) -> bool:
    return path.suffix.lower() == ".txt" and not path.name.startswith(".") and path.is_file()


def _places(images: Images) -> Mapping[str, int]:
    """Return the index of each image by its file name without suffix; by its id where the file is unknown."""
    names = [
        stem_of(file) if file else str(name)
        for name, file in zip(images.ids, images.files or [""] * len(images.ids), strict=True)
    ]
    place: dict[str, int] = {}
    for unit, name in enumerate(names):
        if name in place:
            raise DataError(f"two images of the set are named {name[:80]!r}: files cannot be named after them.")
        place[name] = unit
    return place


def _parse(where: str, text: str, classes: tuple[str, ...]) -> tuple[int, list[float]]:
    """Return the class, and confidence, cx, cy, w and h."""
    cells = text.split()
    if len(cells) == 5:
        raise DataError(f"{where}: has no confidence; wanted {_FORM} (save_conf=True writes it).")
    if len(cells) != 6:
        raise DataError(f"{where}: wanted {_FORM}, got {text[:80]!r}.")
    values = [plain_number(cell) for cell in cells]
    for field, cell, value in zip(("class", "cx", "cy", "w", "h", "confidence"), cells, values, strict=True):
        if value is None:
            raise DataError(f"{where}, {field}: wanted a number, got {cell[:80]!r}.")
        least = {"cx": -_MOST, "cy": -_MOST, "w": 0.0, "h": 0.0}.get(field)
        if least is not None and not least <= value <= _MOST:
            raise DataError(f"{where}, {field}: wanted a fraction of the image from 0 to 1, got {cell[:80]}.")
    label, cx, cy, width, height, confidence = (value or 0.0 for value in values)
    if label != int(label) or not 0 <= label < len(classes):
        raise DataError(f"{where}, class: wanted a class of the set, 0 to {len(classes) - 1}, got {cells[0][:80]}.")
    return int(label), [confidence, cx, cy, width, height]


def _columns(unit: Array, label: Array, numbers: Array, sizes: Array, problem: Problem) -> Predictions:
    order = np.argsort(unit, kind="stable")
    starts = starts_of(np.bincount(unit, minlength=len(sizes)))
    height, width = sizes[unit[order]].astype(np.float64).T
    score, cx, cy, w, h = numbers[order].T
    boxes = np.stack([(cx - w / 2) * width, (cy - h / 2) * height, w * width, h * height], axis=1)
    return {
        "scores": Ragged(score, starts),
        "labels": Labels(label[order].astype(np.int64), starts, category_ids(problem)),
        "xywh": Ragged(boxes, starts),
    }


def _assumed(files: list[Path], images: Images, problem: Problem) -> tuple[Notice, ...]:
    """Return the notices on the order of classes and on images without a file."""
    first = ", ".join(f"{place} {name!r}" for place, name in enumerate(problem.classes[:3]))
    more = " ..." if len(problem.classes) > 3 else ""
    notices = [
        Notice(
            "class-order-assumed",
            f"YOLO's files number classes without naming them; taken in the order of the data set: {first}{more}.",
            len(problem.classes),
        )
    ]
    missing = len(images.ids) - len(files)
    if missing:
        text = f"{counted(missing, 'image', ('has', 'have'))} no file of results; taken as without any detection."
        notices.append(Notice("images-without-results", text, missing))
    return tuple(notices)
