"""The mean depth map: the mean distance at each image position, whatever the image shows.

The mean is over logarithms, so that a factor of two too near counts like a factor of two too far.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import Array, Batch, FitContext, Model, Operations, ParameterCounts, Predictions, Problem, Split
from mlcvbench.errors import DataError
from mlcvbench.files.arrays import read_arrays, write_arrays
from mlcvbench_monodepth.log_depth import from_grid, to_grid, training_pairs

STATE_FILE = "depth_prior.safetensors"


class DepthPrior(Model):
    """Predict exp(mean log depth) of the training maps at each place; images of any size share one map."""

    def __init__(self, problem: Problem, **params: Any) -> None:
        super().__init__(problem, **params)
        height, width = params["size"]
        self._size = (int(height), int(width))
        self._mean = np.zeros(self._size)

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> None:
        total, weight = np.zeros(self._size), np.zeros(self._size)
        for _, depth in training_pairs(train, "depth_prior"):
            logarithm, share = to_grid(depth, self._size)
            total += logarithm * share
            weight += share
        if not weight.any():
            raise DataError(f"depth_prior: split {train.name!r} has no known depth.")
        everywhere = total.sum() / weight.sum()
        self._mean = np.divide(total, weight, out=np.full(self._size, everywhere), where=weight > 0)

    def preprocess(self, batch: Batch) -> list[tuple[int, int]]:
        return [(image.shape[0], image.shape[1]) for image in batch.inputs["image"]]

    def forward(self, inputs: list[tuple[int, int]]) -> list[Array]:
        return [from_grid(self._mean, size) for size in inputs]  # float32 (H, W) each

    def postprocess(self, outputs: list[Array], batch: Batch) -> Predictions:
        return {"depth": outputs}

    def operations(self, inputs: Any) -> Operations:
        return Operations(macs=0)

    def parameters(self) -> ParameterCounts:
        return ParameterCounts(trainable=self._mean.size, bytes=self._mean.nbytes)

    def save(self, folder: Path) -> None:
        write_arrays(folder / STATE_FILE, {"mean": self._mean})

    def load(self, folder: Path) -> None:
        self._mean = read_arrays(folder / STATE_FILE, {"mean": ("float64", 2)})["mean"]
