"""Image files in one folder per class, or in any folders with a list of labels."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import InputSpec, LoadedData, Notice, Problem, Split
from mlcvbench.errors import DataError, OverrideError
from mlcvbench.files.folders import scanned
from mlcvbench.files.text_lines import read_lines
from mlcvbench.limits import MAX_PIXELS
from mlcvbench_classification.class_order import are_numbers, shown
from mlcvbench_classification.file_split import ENDINGS, Decoding, FileSplit
from mlcvbench_classification.labelled_images import read_labelled, refuse_strange
from mlcvbench_classification.splitting import stratified_test, train_and_val

TEST_SHARE = 5
VAL_SHARE = 10
"""Without a given split one image in five is for testing; one training image in ten is for validation."""


def load_image_folder(
    params: Mapping[str, Any], data_seed: int, splits: Collection[str] = ("train", "val", "test")
) -> LoadedData:
    """Return the splits of a folder of images.

    Either `root/train/CLASS/FILE` and `root/test/CLASS/FILE` (`root/val` is validation, or the test set when there is
    no `root/test`, as in ImageNet), or `root/CLASS/FILE`: then `data_seed` draws a fifth of each class for the test.
    With `labels`, a file, the images that it names are the test set, wherever they are below `root`.
    Classes are named by their folders, or by the labels, in alphabetical order unless the file `classes` lists them.
    Folders of training images are not listed when `splits` has test alone.
    """
    root = Path(params["root"])
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; data.root wants a folder with a folder of images for each class.")
    size = _checked_size(params.get("size"))
    decoding = Decoding(params.get("color") or "rgb", size, params.get("skip") == "broken")
    listed = _listed_classes(params.get("classes"))
    if params.get("labels"):
        classes, found, notices = _labelled(root, Path(params["labels"]), listed, decoding, data_seed, splits)
    else:
        classes, found = _in_class_folders(root, listed, decoding, data_seed, splits)
        notices = []
    if listed is None:
        notices += _odd_order(classes)
    problem = Problem("classification", classes, _inputs(found, decoding))
    return LoadedData("image-folder", "1", problem, found, notices=tuple(notices))


def _in_class_folders(
    root: Path, listed: tuple[str, ...] | None, decoding: Decoding, data_seed: int, wanted: Collection[str]
) -> tuple[tuple[str, ...], dict[str, Split]]:
    parts = {name: root / name for name in ("train", "val", "test") if (root / name).is_dir()}
    if "val" in parts and "test" not in parts:
        parts["test"] = parts.pop("val")
    if "test" in parts:
        classes = listed or _class_names(root, parts.get("train", parts["test"]))
        used = {name: folder for name, folder in parts.items() if name == "test" or len(wanted) > 1}
        splits = {name: _read_folder(root, folder, classes, name, decoding) for name, folder in used.items()}
        if "train" in splits and "val" not in splits:
            splits |= _shuffled_train_and_val(splits["train"], data_seed)
    elif parts:
        raise DataError(f"{root}: has a folder 'train' but none named 'test' or 'val'.")
    else:
        classes = listed or _class_names(root, root)
        splits = _drawn(_read_folder(root, root, classes, "all", decoding), data_seed)
    return classes, splits


def _labelled(
    root: Path,
    file: Path,
    listed: tuple[str, ...] | None,
    decoding: Decoding,
    data_seed: int,
    wanted: Collection[str],
) -> tuple[tuple[str, ...], dict[str, Split], list[Notice]]:
    """Return classes and splits where a file labels the test images; `train/` may still hold class folders."""
    train = root / "train"
    splits: dict[str, Split] = {}
    trained = any(entry.is_dir() for entry in scanned(train)) if train.is_dir() else False
    classes = listed or (_class_names(root, train) if trained else None)
    if trained and classes is not None and len(wanted) > 1:
        splits = _shuffled_train_and_val(_read_folder(root, train, classes, "train", decoding), data_seed)
    found = read_labelled(root, file, classes, train if trained else None)
    splits["test"] = FileSplit("test", found.files, found.ids, found.labels, decoding)
    return found.classes, splits, list(found.notices)


def _listed_classes(file: str | None) -> tuple[str, ...] | None:
    """Return the class names that a file lists, one per line, None without a file."""
    if file is None:
        return None
    names: dict[str, None] = {}
    for number, name in read_lines(Path(file)):
        if name in names:
            raise DataError(f"{file}, line {number}: class {name[:100]!r} is named twice.")
        names[name] = None
    if not names:
        raise DataError(f"{file}: names no class; wanted one class per line.")
    return tuple(names)


def _odd_order(classes: Sequence[str]) -> list[Notice]:
    """Return the notice that classes named by numbers are sorted as text, where that order differs."""
    if not are_numbers(classes) or sorted(classes, key=int) == list(classes):
        return []
    text = (
        f"the classes have the order of their names as text, {shown(classes)}, as in torchvision's ImageFolder, not "
        "that of the numbers; data.classes=FILE sets another order, one class per line."
    )
    return [Notice("class-order-as-text", text, len(classes))]


def _checked_size(size: Sequence[int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    if len(size) != 2 or min(size) < 1 or math.prod(size) > MAX_PIXELS:
        raise OverrideError(
            f"data.size={list(size)}: wanted [height,width], at least 1 and {MAX_PIXELS} pixels at most."
        )
    return size[0], size[1]


def _inputs(splits: Mapping[str, Split], decoding: Decoding) -> dict[str, InputSpec]:
    """Return the shape of the images, None for sides that vary."""
    channels = (3,) if decoding.color == "rgb" else ()
    sides = {None if split.ragged else _side(split, decoding.leniently) for split in splits.values()}
    height, width = next(iter(sides)) or (None, None) if len(sides) == 1 else (None, None)
    return {"image": InputSpec((height, width, *channels))}


def _side(split: Split, leniently: bool) -> tuple[int, int] | None:
    for place in range(len(split)):
        try:
            shape = split.read([place])[0].inputs["image"][0].shape
        except DataError:
            if not leniently:
                raise
        else:
            return shape[0], shape[1]
    return None


def _drawn(samples: Split, seed: int) -> dict[str, Split]:
    train, test = stratified_test(np.asarray(samples.targets()["label"]), len(samples) // TEST_SHARE, seed)
    if not len(test):
        raise DataError(f"{len(samples)} images are too few to draw a test set from; wanted at least {TEST_SHARE}.")
    parts = train_and_val(samples.take(train, "train"), len(train) // VAL_SHARE)
    return parts | {"test": samples.take(np.sort(test), "test")}


def _shuffled_train_and_val(train: Split, seed: int) -> dict[str, Split]:
    """Shuffle, since files are sorted by class, and split."""
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(train))
    return train_and_val(train.take(order, "train"), len(train) // VAL_SHARE)


def _class_names(root: Path, folder: Path) -> tuple[str, ...]:
    names = [entry.name for entry in _entries(root, folder) if entry.is_dir()]
    if not names:
        raise DataError(f"{folder}: holds no class folders; wanted a folder of images for each class.")
    return tuple(names)


def _read_folder(root: Path, folder: Path, classes: Sequence[str], name: str, decoding: Decoding) -> Split:
    """Collect the files of a part; everything in it must be a class folder with image files."""
    files: list[Path] = []
    ids: list[str] = []
    labels: list[int] = []
    for place in _entries(root, folder):
        if not place.is_dir():
            raise DataError(f"{place.path}: wanted only class folders in {folder.name!r}, got a file.")
        if place.name not in classes:
            raise DataError(f"{place.path}: class {place.name!r} is not among the {len(classes)} classes.")
        found = _entries(root, Path(place.path))
        for entry in found:
            if entry.is_dir() or os.path.splitext(entry.name)[1].lower() not in ENDINGS:  # noqa: PTH122 - it is text
                raise DataError(f"{entry.path}: wanted an image file ({', '.join(sorted(ENDINGS))}).")
        files += [Path(entry.path) for entry in found]
        ids += [f"{place.name}/{entry.name}" for entry in found]
        labels += [classes.index(place.name)] * len(found)
    if not files:
        raise DataError(f"{folder}: holds no images.")
    return FileSplit(name, files, ids, np.array(labels, dtype=np.int64), decoding)


def _entries(root: Path, folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder, sorted by name; links must stay inside `root`, and names must be text.

    Below a folder inside `root`, only links can lead out.
    """
    found, inside = scanned(folder), root.resolve()
    if folder != root:
        refuse_strange(root, inside, folder)
    for entry in found:
        if entry.is_symlink() or not entry.name.isprintable():
            refuse_strange(root, inside, Path(entry.path))
    return found
