"""The zero-rule classifier: every image gets the class frequencies of the training set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import Array, Batch, FitContext, Model, Operations, ParameterCounts, Predictions, Split
from mlcvbench.errors import DataError, RecordError
from mlcvbench.files.arrays import read_arrays, write_arrays

STATE_FILE = "majority.safetensors"


class Majority(Model):
    """Predict the probability (n_c + 1) / (N + C) of each of the C classes, n_c of the N training labels being c.

    The 1 (Laplace's rule) keeps a class without training samples possible. Probabilities are float32 (B, C); among
    equally frequent classes the first has the top rank, as ties always go to the lower label.
    """

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> None:
        if len(train) == 0:
            raise DataError(f"majority: split {train.name!r} has no samples, wanted at least 1.")
        labels = np.asarray(train.targets()["label"])
        self._counts = np.bincount(labels, minlength=len(self.problem.classes)).astype(np.int64)

    def preprocess(self, batch: Batch) -> int:
        return len(batch)

    def forward(self, inputs: int) -> Array:
        total = self._counts.sum() + len(self._counts)
        shares = ((self._counts + 1) / total).astype(np.float32)
        return np.broadcast_to(shares, (inputs, len(shares)))  # (B, C)

    def postprocess(self, outputs: Array, batch: Batch) -> Predictions:
        return {"probabilities": np.ascontiguousarray(outputs)}

    def operations(self, inputs: Any) -> Operations:
        return Operations(macs=0)

    def parameters(self) -> ParameterCounts:
        return ParameterCounts(trainable=self._counts.size, bytes=self._counts.nbytes)

    def save(self, folder: Path) -> None:
        write_arrays(folder / STATE_FILE, {"counts": self._counts})

    def load(self, folder: Path) -> None:
        counts = read_arrays(folder / STATE_FILE, {"counts": ("int64", 1)})["counts"]
        if len(counts) != len(self.problem.classes):
            raise RecordError(f"{STATE_FILE}: wanted counts of {len(self.problem.classes)} classes, got {len(counts)}.")
        self._counts = counts
