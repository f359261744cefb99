"""Folders of IDX files in the layout of MNIST; Fashion-MNIST is one with named classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import Array, ArraySplit, InputSpec, LoadedData, Problem, Split
from mlcvbench.errors import DataError
from mlcvbench_classification.idx import read_idx
from mlcvbench_classification.splitting import train_and_val

FASHION_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
VAL_SHARE = 12
"""One training sample in twelve is for validation: 5,000 of 60,000."""


def load_idx(params: Mapping[str, Any], data_seed: int) -> LoadedData:  # noqa: ARG001 - a loader's signature
    """Return the splits of a folder with `[PREFIX]{train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz]`.

    `test-` is read like `t10k-`, and `.idx3` like `-idx3`. Classes are named by their numbers. A folder without
    training files has a test split only. The files fix the split, so `data_seed` does not change it.
    """
    folder, prefix = Path(params["root"]), params.get("prefix") or ""
    train, test = _read_part(folder, prefix, ("train",)), _read_part(folder, prefix, ("t10k", "test"))
    count = params.get("classes") or int((train or test or _nothing(folder, prefix))[1].max()) + 1
    return _loaded("idx", folder, train, test, tuple(map(str, range(count))))


def load_fashion_mnist(params: Mapping[str, Any], data_seed: int) -> LoadedData:  # noqa: ARG001 - a loader's signature
    """Return Fashion-MNIST: 28x28 uint8, 55,000 train, 5,000 val (the last of the file), 10,000 test.

    The files fix the split, so `data_seed` does not change it.
    """
    folder = Path(params["root"])
    train, test = _read_part(folder, "", ("train",)), _read_part(folder, "", ("t10k", "test"))
    return _loaded("fashion-mnist", folder, train, test, FASHION_NAMES)


Part = tuple[Array, Array, Path]
"""Images (N, H, W), labels (N,) and the file the labels came from."""


def _loaded(name: str, folder: Path, train: Part | None, test: Part | None, classes: tuple[str, ...]) -> LoadedData:
    if test is None:
        raise DataError(f"{folder}: no test files; wanted t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, or .gz.")
    splits: dict[str, Split] = {"test": _split("test", test, classes)}
    if train is not None:
        if train[0].shape[1:] != test[0].shape[1:]:
            raise DataError(f"{folder}: training images have {_size(train[0])} pixels, test images {_size(test[0])}.")
        splits |= train_and_val(_split("train", train, classes), len(train[0]) // VAL_SHARE)
    height, width = test[0].shape[1:]
    problem = Problem("classification", classes, {"image": InputSpec((height, width))})
    return LoadedData(name, "1", problem, splits)


def _split(name: str, part: Part, classes: Sequence[str]) -> Split:
    images, labels, path = part
    outside = np.flatnonzero(labels >= len(classes))
    if len(outside):
        raise DataError(
            f"{path}: label {labels[outside[0]]} of sample {outside[0]} is outside the class list; "
            f"wanted 0 to {len(classes) - 1}."
        )
    return ArraySplit(name, {"image": images}, {"label": labels.astype(np.int64)})


def _read_part(folder: Path, prefix: str, names: Sequence[str]) -> Part | None:
    """Return one part of the set, None when it has neither file."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; data.root wants the folder that holds the IDX files.")
    image_path = _find(folder, prefix, names, "images", "idx3")
    label_path = _find(folder, prefix, names, "labels", "idx1")
    if image_path is None and label_path is None:
        return None
    if image_path is None or label_path is None:
        there, missing = (label_path, "images-idx3") if image_path is None else (image_path, "labels-idx1")
        assert there is not None
        raise DataError(f"{folder}: has {there.name} but not {prefix}{names[0]}-{missing}-ubyte or its .gz.")
    labels = read_idx(label_path, 1)
    images = read_idx(image_path, 3)
    if len(images) != len(labels):
        raise DataError(f"{label_path}: {len(labels)} labels for the {len(images)} images of {image_path.name}.")
    return images, labels, label_path


def _find(folder: Path, prefix: str, names: Sequence[str], what: str, form: str) -> Path | None:
    for name in names:
        for joint in "-.":
            for ending in ("", ".gz"):
                path = folder / f"{prefix}{name}-{what}{joint}{form}-ubyte{ending}"
                if path.is_file():
                    return path
    return None


def _nothing(folder: Path, prefix: str) -> Part:
    raise DataError(f"{folder}: no IDX files; wanted {prefix}t10k-images-idx3-ubyte and three like it, or their .gz.")


def _size(images: Array) -> str:
    return "x".join(map(str, images.shape[1:]))
