"""k nearest neighbours on raw 8-bit pixels: no training, all cost is at prediction.

The method and its definition: the model, the distances, the votes. `search.py` finds the neighbours that these define.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import (
    Array,
    Batch,
    Column,
    FitContext,
    Model,
    Operations,
    ParameterCounts,
    Predictions,
    Problem,
    Split,
)
from mlcvbench.errors import DataError, RecordError
from mlcvbench.files.arrays import read_arrays, write_arrays
from mlcvbench_knn.search import EuclideanSearch, Search, compare_pairs, dot_products, power_sums, squared_distances

STATE_FILE = "neighbours.safetensors"


class KNN(Model):
    """Predict from the labels of the k training images at the smallest distance from the query q.

    `distance`: `lp` (sum |q_i - x_i|^p)^(1/p), `linf` max |q_i - x_i|, or `cosine` 1 - q.x / (|q| |x|), which is 1
    where q or x is all zero. `weights`: `uniform`, each has one vote; `distance`, a vote counts 1 / distance, and where
    neighbours are at distance zero only they vote.

    Probabilities are (v_c + 1/C) / (k + 1): v_c of the k votes are for class c, weighted ones scaled to k in all; one
    further vote is spread evenly over the C classes, so that none is impossible.

    Ties as in scikit-learn: equal votes go to the lowest label. Of training images equally far away at the k-th place
    the one with the lower index votes; scikit-learn leaves that choice to the order of a heap. Weighted votes and their
    sums are rounded, probabilities to float32: shares that differ by less than about 1e-7 may count as equal.
    """

    def __init__(
        self, problem: Problem, k: int = 5, distance: str = "lp", p: float = 2.0, weights: str = "uniform"
    ) -> None:
        super().__init__(problem, k=k, distance=distance, p=p, weights=weights)
        self.k, self.distance, self.weights = k, distance, weights
        self.p = math.inf if distance == "linf" else float(p)
        self._images, self._labels = np.zeros((0, 0), np.uint8), np.zeros(0, np.int32)
        self._search: Search | None = None

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> None:
        if len(train) < self.k:
            raise DataError(f"knn: k={self.k} needs as many training images, got {len(train)}; set a smaller model.k.")
        inputs, targets = train.arrays()
        self._remember(pixels_of(inputs["image"]), targets["label"].astype(np.int32))

    def preprocess(self, batch: Batch) -> Any:
        search, pixels = self._prepared(), pixels_of(batch.inputs["image"])
        width = self._images.shape[1]
        if pixels.shape[1] != width:
            raise DataError(f"knn: wanted images of {width} values as in training, got {pixels.shape[1]}.")
        return search.prepare(pixels)

    def forward(self, inputs: Any) -> Any:
        """Return the k nearest training indices, int64 (B, k)."""
        return self._prepared().search(inputs)

    def postprocess(self, outputs: Any, batch: Batch) -> Predictions:
        weights = None
        if self.weights == "distance":
            weights = inverse_distances(self._distances(pixels_of(batch.inputs["image"]), outputs))
        return {"probabilities": vote_shares(self._labels[outputs], weights, len(self.problem.classes))}

    def operations(self, inputs: Any) -> Operations:
        """Count what the definition asks of every pixel of the training images.

        Cosine adds the length of the query and a division per image; a weighted vote is one reciprocal.
        """
        (count, width), compared = self._images.shape, self._images.size
        votes = {"reciprocal": self.k} if self.weights == "distance" else {}
        if self.distance == "cosine":
            return Operations(macs=compared + width, other_ops={"division": count, **votes})
        if self.p == 2:
            return Operations(macs=compared, other_ops=votes)
        name = "absolute_difference" if self.p in {1, math.inf} else "power_of_difference"
        return Operations(macs=None, other_ops={name: compared, **votes}, reason="this distance has no multiply-adds")

    def parameters(self) -> ParameterCounts:
        return ParameterCounts(bytes=self._images.nbytes + self._labels.nbytes)

    def save(self, folder: Path) -> None:
        write_arrays(folder / STATE_FILE, {"images": self._images, "labels": self._labels})

    def load(self, folder: Path) -> None:
        state = read_arrays(folder / STATE_FILE, {"images": ("uint8", 2), "labels": ("int32", 1)})
        images, labels = state["images"], state["labels"]
        if len(images) != len(labels):
            raise RecordError(f"{STATE_FILE}: {len(images)} images and {len(labels)} labels, wanted as many.")
        if len(images) < self.k:
            raise RecordError(f"{STATE_FILE}: k={self.k} needs as many images, got {len(images)}.")
        highest = len(self.problem.classes) - 1
        if labels.min() < 0 or labels.max() > highest:
            raise RecordError(f"{STATE_FILE}: labels from {labels.min()} to {labels.max()}, wanted 0 to {highest}.")
        self._remember(images, labels)

    def _remember(self, images: Array, labels: Array) -> None:
        self._images, self._labels = images, labels
        self._search = self._prepare_search(images)

    def _prepare_search(self, images: Array) -> Search:
        euclidean = self.distance == "lp" and self.p == 2
        if euclidean and self.device.type == "cpu":
            return EuclideanSearch(images, self.k)
        import torch

        from mlcvbench_knn.torch_search import CosineSearch, EuclideanTorchSearch, MinkowskiSearch

        device = torch.device(self.device.type, self.device.index)
        if euclidean:
            return EuclideanTorchSearch(images, self.k, device)
        if self.distance == "cosine":
            return CosineSearch(images, self.k, device)
        return MinkowskiSearch(images, self.k, self.p, device)

    def _prepared(self) -> Search:
        if self._search is None:
            raise DataError("there are no neighbours: fit the model or load its weights first.")
        return self._search

    def _distances(self, pixels: Array, nearest: Array) -> Array:
        """Return the distances float64 (B, k) of queries uint8 (B, D) from their neighbours int64 (B, k)."""
        measure = cosine_distances if self.distance == "cosine" else partial(minkowski_distances, p=self.p)
        rows = np.repeat(np.arange(len(nearest)), self.k)
        return compare_pairs(measure, pixels, self._images, rows, nearest.ravel()).reshape(nearest.shape)


def pixels_of(images: Column) -> Array:
    """Return 8-bit images (B, H, W[, 3]) as contiguous rows, uint8 (B, D)."""
    if isinstance(images, list):
        raise DataError("knn needs images of one size, and these differ.")
    if images.dtype != np.uint8:
        raise DataError(f"knn compares 8-bit images; wanted uint8, got {images.dtype}.")
    width = int(np.prod(images.shape[1:]))
    return np.ascontiguousarray(images).reshape(len(images), width)


def minkowski_distances(left: Array, right: Array, p: float) -> Array:
    """Return (sum |x_i - y_i|^p)^(1/p) of each pair of uint8 rows (T, D), or the largest difference, float64 (T,).

    >>> pair = np.array([[0, 0]], np.uint8), np.array([[3, 4]], np.uint8)
    >>> [float(minkowski_distances(*pair, p)[0]) for p in (1, 2, math.inf)]
    [7.0, 5.0, 4.0]
    """
    if p == 2:
        return np.sqrt(squared_distances(left, right))
    if p == math.inf:
        return np.asarray(np.abs(np.subtract(left, right, dtype=np.int16)).max(axis=1).astype(np.float64))
    return np.asarray(power_sums(left, right, p) ** (1 / p))


def cosine_distances(left: Array, right: Array) -> Array:
    """Return 1 - x.y / (|x| |y|) of each pair of uint8 rows (T, D), float64 (T,); 1 where a row is all zero.

    Computed as (|x|^2 |y|^2 - (x.y)^2) / (|x| |y| (|x| |y| + x.y)) with a numerator of whole numbers: nothing cancels,
    and the distance is 0 exactly where one row is a multiple of the other.

    >>> cosine_distances(np.array([[1, 2], [3, 0], [0, 0]], np.uint8), np.array([[2, 4], [0, 1], [0, 0]], np.uint8))
    array([0., 1., 1.])
    """
    products, lefts, rights = (dot_products(*pair) for pair in ((left, right), (left, left), (right, right)))
    # Python's whole numbers: these products pass 2^63 from about 46,000 values an image on.
    rest = (lefts.astype(object) * rights - products.astype(object) ** 2).astype(np.float64)
    lengths = np.sqrt(lefts.astype(np.float64)) * np.sqrt(rights.astype(np.float64))
    dark = lengths == 0
    return np.asarray(np.where(dark, 1.0, rest / np.where(dark, 1.0, lengths * (lengths + products))))


def inverse_distances(distances: Array) -> Array:
    """Return the weight 1 / distance of each neighbour, float64 (B, k), scaled to sum to k in each row.

    Where neighbours are at distance zero only they vote, each as much as the other: scikit-learn's weights="distance".

    >>> inverse_distances(np.array([[1.0, 3.0], [0.0, 2.0]]))
    array([[1.5, 0.5],
           [2. , 0. ]])
    """
    same = distances == 0
    met = same.any(axis=1, keepdims=True)
    weights = np.where(met, same, 1 / np.where(met, 1.0, distances))
    return np.asarray(weights * (distances.shape[1] / weights.sum(axis=1, keepdims=True)))


def vote_shares(labels: Array, weights: Array | None, classes: int) -> Array:
    """Return (v_c + 1/C) / (k + 1), float32 (B, C), from the labels int (B, k) of the k nearest.

    v_c is the number of votes for class c, or the sum of their `weights` (B, k), which make k in each row. One further
    vote is spread evenly over the C classes, so that no class is impossible: these are the shares of k + 1 votes.

    >>> vote_shares(np.array([[1, 1, 0]]), None, classes=2)
    array([[0.375, 0.625]], dtype=float32)
    """
    count, k = labels.shape
    cells = np.arange(count)[:, None] * classes + labels
    worth = None if weights is None else weights.ravel()
    votes = np.bincount(cells.ravel(), worth, minlength=count * classes).reshape(count, classes)
    return np.asarray(((votes + 1 / classes) / (k + 1)).astype(np.float32))
