"""k nearest neighbours on raw 8-bit pixels: no training, all the cost at prediction."""

from __future__ import annotations

import math
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
from mlcvbench.errors import DataError, RecordError, RequestError
from mlcvbench_knn.euclidean import EuclideanIndex
from mlcvbench_knn.minkowski import MinkowskiIndex
from mlcvbench_knn.neighbours import Index
from mlcvbench_training.arrays import read_arrays, write_arrays

STATE_FILE = "neighbours.safetensors"


class KNN(Model):
    """Predict from the labels of the k training images with the smallest (sum |q_i - x_i|^p)^(1/p), or max |q_i - x_i|.

    Ties as in scikit-learn: equal votes go to the lowest label. Of training images equally far away at the k-th place
    the one with the lower index votes; scikit-learn leaves that choice to the order of a heap.
    Scores are log((v_c + 1/C) / (k + 1)), v_c of the k votes being for class c: one further vote is spread evenly over
    the C classes, which keeps them finite and in the order of the votes.
    """

    def __init__(self, problem: Problem, k: int = 5, p: float = 2.0, distance: str = "lp") -> None:
        super().__init__(problem, k=k, p=p, distance=distance)
        if distance == "linf" and p != 2:
            raise RequestError(f"knn: distance=linf has no order, got p={p:g}; leave out model.p.")
        self.k, self.p = k, math.inf if distance == "linf" else float(p)

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> None:
        if len(train) < self.k:
            raise DataError(f"knn: k={self.k} needs as many training images, got {len(train)}; set a smaller model.k.")
        inputs, targets = train.arrays()
        self._remember(pixels_of(inputs["image"]), targets["label"].astype(np.int32))

    def preprocess(self, batch: Batch) -> Any:
        pixels = pixels_of(batch.inputs["image"])
        width = self._images.shape[1]
        if pixels.shape[1] != width:
            raise DataError(f"knn: wanted images of {width} values as in training, got {pixels.shape[1]}.")
        return self._index.prepare(pixels)

    def forward(self, inputs: Any) -> Any:
        """Return the k nearest training indices, int64 (B, k)."""
        return self._index.search(inputs)

    def postprocess(self, outputs: Any, batch: Batch) -> Predictions:
        nearest = outputs if isinstance(outputs, np.ndarray) else outputs.cpu().numpy()  # (B, k)
        count, classes = len(nearest), len(self.problem.classes)
        cells = np.arange(count)[:, None] * classes + self._labels[nearest]
        votes = np.bincount(cells.ravel(), minlength=count * classes).reshape(count, classes)
        return {"scores": np.log((votes + 1 / classes) / (self.k + 1)).astype(np.float32)}

    def operations(self, inputs: Any) -> Operations:
        compared = self._images.size
        if self.p == 2:
            return Operations(macs=compared)
        name = "absolute_difference" if self.p in {1, math.inf} else "power_of_difference"
        return Operations(macs=None, other_ops={name: compared}, reason="this distance has no multiply-adds")

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
        if self.device.type == "cpu":
            return EuclideanIndex(images, self.k) if self.p == 2 else MinkowskiIndex(images, self.k, self.p)
        if self.p != 2:
            raise RequestError(f"knn: only p=2 is searched on {self.device.type}; set device=cpu.")
        import torch

        from mlcvbench_knn.device import DeviceIndex

        return DeviceIndex(images, self.k, torch.device(self.device.type, self.device.index))


def pixels_of(images: Column) -> Array:
    """Return 8-bit images (B, H, W[, 3]) as contiguous rows, uint8 (B, D)."""
    if isinstance(images, list):
        raise DataError("knn needs images of one size; set data.size=[H,W] to resize them.")
    if images.dtype != np.uint8:
        raise DataError(f"knn compares 8-bit images; wanted uint8, got {images.dtype}.")
    width = int(np.prod(images.shape[1:]))
    return np.ascontiguousarray(images).reshape(len(images), width)
