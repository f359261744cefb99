"""k nearest neighbours on raw 8-bit pixels: no training, all the cost at prediction."""

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
from mlcvbench_knn.distances import compare_pairs, cosine_distances, minkowski_distances
from mlcvbench_knn.neighbours import Index
from mlcvbench_knn.search import EuclideanIndex
from mlcvbench_knn.votes import inverse_distances, vote_shares

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
        self._index: Index | None = None

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> None:
        if len(train) < self.k:
            raise DataError(f"knn: k={self.k} needs as many training images, got {len(train)}; set a smaller model.k.")
        inputs, targets = train.arrays()
        self._remember(pixels_of(inputs["image"]), targets["label"].astype(np.int32))

    def preprocess(self, batch: Batch) -> Any:
        index, pixels = self._searched(), pixels_of(batch.inputs["image"])
        width = self._images.shape[1]
        if pixels.shape[1] != width:
            raise DataError(f"knn: wanted images of {width} values as in training, got {pixels.shape[1]}.")
        return index.prepare(pixels)

    def forward(self, inputs: Any) -> Any:
        """Return the k nearest training indices, int64 (B, k)."""
        return self._searched().search(inputs)

    def postprocess(self, outputs: Any, batch: Batch) -> Predictions:
        nearest = outputs if isinstance(outputs, np.ndarray) else outputs.cpu().numpy()  # (B, k)
        weights = None
        if self.weights == "distance":
            weights = inverse_distances(self._distances(pixels_of(batch.inputs["image"]), nearest))
        return {"probabilities": vote_shares(self._labels[nearest], weights, len(self.problem.classes))}

    def operations(self, inputs: Any) -> Operations:
        """Count what the definition asks of every pixel of the training images.

        Cosine adds the length of the query and a division an image; a weighted vote is one reciprocal.
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
        self._index = self._prepare_index(images)

    def _prepare_index(self, images: Array) -> Index:
        euclidean = self.distance == "lp" and self.p == 2
        if euclidean and self.device.type == "cpu":
            return EuclideanIndex(images, self.k)
        import torch

        from mlcvbench_knn.cosine import CosineIndex
        from mlcvbench_knn.device import DeviceIndex
        from mlcvbench_knn.minkowski import MinkowskiIndex

        device = torch.device(self.device.type, self.device.index)
        if euclidean:
            return DeviceIndex(images, self.k, device)
        if self.distance == "cosine":
            return CosineIndex(images, self.k, device)
        return MinkowskiIndex(images, self.k, self.p, device)

    def _searched(self) -> Index:
        if self._index is None:
            raise DataError("there are no neighbours: fit the model or load its weights first.")
        return self._index

    def _distances(self, pixels: Array, nearest: Array) -> Array:
        """Return the distances float64 (B, k) of queries uint8 (B, D) from their neighbours int64 (B, k)."""
        measure = cosine_distances if self.distance == "cosine" else partial(minkowski_distances, p=self.p)
        rows = np.repeat(np.arange(len(nearest)), self.k)
        return compare_pairs(measure, pixels, self._images, rows, nearest.ravel()).reshape(nearest.shape)


def pixels_of(images: Column) -> Array:
    """Return 8-bit images (B, H, W[, 3]) as contiguous rows, uint8 (B, D)."""
    if isinstance(images, list):
        raise DataError("knn needs images of one size; set data.size=[H,W] to resize them.")
    if images.dtype != np.uint8:
        raise DataError(f"knn compares 8-bit images; wanted uint8, got {images.dtype}.")
    width = int(np.prod(images.shape[1:]))
    return np.ascontiguousarray(images).reshape(len(images), width)
