"""Image files in one folder a class, read when they are needed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlcvbench.contract import Array, Batch, Column, InputSpec, LoadedData, Problem, Split, Targets
from mlcvbench.errors import DataError, OverrideError
from mlcvbench.images import Color, image_size, read_image
from mlcvbench.limits import MAX_PIXELS
from mlcvbench_classification.splitting import stratified_test, train_and_val

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm"})
LITTER = frozenset({"thumbs.db", "desktop.ini"})
"""What file browsers leave behind; hidden files are passed over too."""
TEST_SHARE = 5
VAL_SHARE = 10
"""One image in five tests when the folder does not say which; one training image in ten validates."""


class Decoding(NamedTuple):
    """How files become arrays. `leniently`: those that cannot be read will be left out, so that they stop nothing."""

    color: Color
    size: tuple[int, int] | None
    leniently: bool = False

    def read(self, path: Path) -> Array:
        """Return an image as uint8 (H, W, 3) or (H, W)."""
        return read_image(path, self.color, self.size)


class FileSplit(Split):
    """Images that stay on disk: only the samples asked for are decoded."""

    def __init__(self, name: str, files: Sequence[Path], ids: Sequence[str], labels: Array, decoding: Decoding) -> None:
        self.name, self._files, self._labels, self._decoding = name, tuple(files), labels, decoding
        self.ids = np.array(ids, dtype=np.str_)
        self.groups = self.ids
        self._digest: str | None = None
        self._ragged = decoding.size is None and len(_sizes(self._files, decoding.leniently)) > 1

    @property
    def ragged(self) -> bool:
        return self._ragged

    def read(self, index: Sequence[int] | Array | slice) -> tuple[Batch, Targets]:
        places = np.arange(len(self))[index if isinstance(index, slice) else np.asarray(index, dtype=np.int64)]
        images = [self._decoding.read(self._files[place]) for place in places]
        if not self._ragged and len({image.shape for image in images}) > 1:
            raise DataError(f"split {self.name!r}: images of one size when they were listed now differ in size.")
        column: Column = images if self._ragged or not images else np.stack(images)
        return Batch(self.ids[places], {"image": column}), {"label": self._labels[places]}

    def targets(self) -> Targets:
        return {"label": self._labels}

    def fingerprint(self) -> str:
        """Return the digest of ids, labels, the bytes of every file and how they are decoded."""
        if self._digest is None:
            digest = hashlib.sha256(f"{self._decoding.color};{self._decoding.size}\n".encode())
            for name, label, path in zip(self.ids, self._labels, self._files, strict=True):
                digest.update(f"{name}\n{label}\n{_digest_of(path)}\n".encode())
            self._digest = digest.hexdigest()
        return self._digest


def load_image_folder(params: Mapping[str, Any], data_seed: int) -> LoadedData:
    """Return the splits of a folder of images.

    Either `root/train/CLASS/FILE` and `root/test/CLASS/FILE` (`root/val` is validation, or the test set when there is
    no `root/test`, as in ImageNet), or `root/CLASS/FILE`: then `data_seed` draws a fifth of each class for the test.
    Classes are named by their folders, in alphabetical order.
    """
    root = Path(params["root"])
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; data.root wants a folder with a folder of images for each class.")
    size = _checked_size(params.get("size"))
    decoding = Decoding(params.get("color") or "rgb", size, params.get("skip") == "broken")
    parts = {name: root / name for name in ("train", "val", "test") if (root / name).is_dir()}
    if "val" in parts and "test" not in parts:
        parts["test"] = parts.pop("val")
    if "test" in parts:
        classes = _class_names(root, parts.get("train", parts["test"]))
        splits = {name: _read_folder(root, folder, classes, name, decoding) for name, folder in parts.items()}
        if "train" in splits and "val" not in splits:
            splits |= _shuffled_train_and_val(splits["train"], data_seed)
    elif parts:
        raise DataError(f"{root}: has a folder 'train' but none named 'test' or 'val'.")
    else:
        classes = _class_names(root, root)
        splits = _drawn(_read_folder(root, root, classes, "all", decoding), data_seed)
    return LoadedData("image-folder", "1", Problem("classification", classes, _inputs(splits, decoding)), splits)


def _checked_size(size: Sequence[int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    if len(size) != 2 or min(size) < 1 or math.prod(size) > MAX_PIXELS:
        raise OverrideError(
            f"data.size={list(size)}: wanted [height,width], at least 1 and {MAX_PIXELS} pixels at most."
        )
    return size[0], size[1]


def _sizes(files: Sequence[Path], leniently: bool) -> set[tuple[int, int]]:
    """Return the sizes that images have, (height, width); DataError names one that cannot be read."""
    found = set()
    for path in files:
        try:
            found.add(image_size(path))
        except DataError:
            if not leniently:
                raise
    return found


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
    """Shuffle, since files come sorted by class, and split."""
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(train))
    return train_and_val(train.take(order, "train"), len(train) // VAL_SHARE)


def _class_names(root: Path, folder: Path) -> tuple[str, ...]:
    names = sorted(path.name for path in _entries(root, folder) if path.is_dir())
    if not names:
        raise DataError(f"{folder}: holds no class folders; wanted a folder of images for each class.")
    return tuple(names)


def _read_folder(root: Path, folder: Path, classes: Sequence[str], name: str, decoding: Decoding) -> Split:
    """Collect the files of a part; everything in it must be a class folder with image files."""
    files: list[Path] = []
    labels: list[int] = []
    for place in _entries(root, folder):
        if not place.is_dir():
            raise DataError(f"{place}: wanted only class folders in {folder.name!r}, got a file.")
        if place.name not in classes:
            raise DataError(f"{place}: class {place.name!r} is not among the {len(classes)} training classes.")
        found = _entries(root, place)
        for path in found:
            if path.is_dir() or path.suffix.lower() not in ENDINGS:
                raise DataError(f"{path}: wanted an image file ({', '.join(sorted(ENDINGS))}).")
        files += found
        labels += [classes.index(place.name)] * len(found)
    if not files:
        raise DataError(f"{folder}: holds no images.")
    ids = [path.relative_to(folder).as_posix() for path in files]
    return FileSplit(name, files, ids, np.array(labels, dtype=np.int64), decoding)


def _entries(root: Path, folder: Path) -> list[Path]:
    """Return what lies in a folder, sorted by name; links must stay inside `root`, and names must be text."""
    try:
        found = sorted(path for path in folder.iterdir() if not _is_litter(path.name))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}).") from None
    inside = root.resolve()
    for path in found:
        if not path.name.isprintable():  # nor are the stand-ins for bytes that are no text
            raise DataError(f"{folder}: file name {path.name!a} is not plain text; rename it.")
        try:
            outside = not path.resolve(strict=True).is_relative_to(inside)
        except (OSError, RuntimeError):
            raise DataError(f"{path}: is a link that leads nowhere.") from None
        if outside:
            raise DataError(f"{path}: is a link out of {root}; wanted every file inside data.root.")
    return found


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name.lower() in LITTER


def _digest_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
