"""Detections in the form of the VOC development kit: a folder with `comp4_det_test_CLASS.txt` for each class."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlcvbench.contract import Array, External, Predictions, Problem
from mlcvbench.errors import DataError, did_you_mean
from mlcvbench.files.text_lines import numbered_lines, plain_number
from mlcvbench_detection.coco.image_names import UNKNOWN, Images
from mlcvbench_detection.geometry.ragged import Labels, Ragged, starts_of
from mlcvbench_detection.predictions import FARTHEST, category_ids

_FILE = re.compile(r"comp\d{1,2}_det_.+\.txt")
_FORM = "'image score xmin ymin xmax ymax'"


def is_voc_folder(folder: Path) -> bool:
    """Return whether a folder holds a file named like those of the development kit."""
    return any(_FILE.fullmatch(path.name) for path in folder.iterdir())


def read_voc_results(folder: Path, images: Images, problem: Problem) -> External:
    """Return the detections of a folder, ordered by image, then by class and line.

    A line is `image score xmin ymin xmax ymax` with inclusive pixels counted from 1, as in the annotations; both are
    counted from 0 here. Every class has its file, all of one competition and image set; an empty file means that
    nothing was found. A missing file is refused, since the development kit stops at a file that it cannot open, and so
    is an image outside the set. DataError names the file, the line and the field.
    """
    files = _files_by_class(folder, problem.classes)
    names: list[str] = []
    labels, lines, numbers = array("q"), array("q"), array("d")
    for label, name in enumerate(problem.classes):
        for line in numbered_lines(files[name]):
            image, values = _parse(f"{files[name]}, line {line.number}", line.text)
            names.append(image)
            labels.append(label)
            lines.append(line.number)
            numbers.extend(values)
    unit, notices = images.place(np.array(names, dtype=np.str_))
    if (unit == UNKNOWN).any():
        row = int(np.argmax(unit == UNKNOWN))
        where = f"{files[problem.classes[labels[row]]]}, line {lines[row]}"
        raise DataError(f"{where}: image {names[row][:80]!r} is not in the set of {len(images.ids)} images.")
    table = np.array(numbers).reshape(-1, 5)
    predictions = _columns(unit, np.array(labels), table, len(images.ids), problem)
    return External(predictions, "folder of VOC results: boxes", notices=notices)


def _files_by_class(folder: Path, classes: Sequence[str]) -> dict[str, Path]:
    """Return the file of each class; DataError for one that is missing, of no class, or of another image set."""
    found: dict[str, Path] = {}
    heads: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if not _FILE.fullmatch(path.name):
            continue
        name = max((name for name in classes if path.stem.endswith(f"_{name}")), key=len, default=None)
        if name is None:
            last = path.stem.rpartition("_")[2][:100]
            raise DataError(f"{path}: {last!r} is not a class of the data set.{did_you_mean(last, classes)}")
        heads.setdefault(path.stem.removesuffix(f"_{name}"), path)
        if len(heads) > 1:
            raise DataError(f"{path}: wanted one competition and image set, but {next(iter(heads.values())).name} too.")
        found[name] = path
    missing = next((name for name in classes if name not in found), None)
    if missing is not None:
        raise DataError(
            f"{folder / next(iter(heads))}_{missing}.txt: no such file; a class without detections has an empty one."
        )
    return found


def _parse(where: str, text: str) -> tuple[str, list[float]]:
    """Return the image's name, and score, x, y, width and height as in the columns."""
    cells = text.split()
    if len(cells) != 6:
        raise DataError(f"{where}: wanted {_FORM}, got {text[:80]!r}.")
    values = []
    for field, cell in zip(("score", "xmin", "ymin", "xmax", "ymax"), cells[1:], strict=True):
        value = plain_number(cell)
        if value is None or (field != "score" and abs(value) > FARTHEST):
            raise DataError(f"{where}, {field}: wanted a finite number, got {cell[:80]!r}.")
        values.append(value)
    score, x1, y1, x2, y2 = values
    if x1 > x2 or y1 > y2:
        raise DataError(f"{where}: wanted xmin <= xmax and ymin <= ymax, got {values[1:]}.")
    return cells[0], [score, x1 - 1, y1 - 1, x2 - x1, y2 - y1]


def _columns(unit: Array, label: Array, numbers: Array, count: int, problem: Problem) -> Predictions:
    order = np.argsort(unit, kind="stable")
    starts = starts_of(np.bincount(unit, minlength=count))
    return {
        "scores": Ragged(numbers[order, 0], starts),
        "labels": Labels(label[order], starts, category_ids(problem)),
        "xywh": Ragged(numbers[order, 1:], starts),
    }
