"""The baseline of segmentation: the most frequent class of each image position, whatever the image shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mlcvbench.contract import Array, Batch, FitContext, Model, Operations, ParameterCounts, Predictions, Split
from mlcvbench.errors import DataError, RecordError
from mlcvbench.files.arrays import read_arrays, write_arrays

STATE_FILE = "majority.safetensors"


class MajorityMap(Model):
    """Lay a grid of `grid` x `grid` cells over every image and predict the cell's most frequent training label.

    `grid=1` predicts the most frequent class everywhere. A cell without a labelled training pixel gets that class too;
    among equally frequent classes the lower label wins.
    """

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> None:
        grid, classes = self.params["grid"], len(self.problem.classes)
        counts = np.zeros(grid * grid * classes, dtype=np.int64)
        for label_map in train.targets()["label_map"]:
            label = np.asarray(label_map)
            rows, columns = _cells(label.shape, grid)
            scored = label < classes
            cell = rows[:, None] * grid + columns  # (H, W)
            counts += np.bincount(cell[scored] * classes + label[scored], minlength=counts.size)
        if not counts.any():
            raise DataError(f"majority: split {train.name!r} has no labelled pixel.")
        by_cell = counts.reshape(grid, grid, classes)
        empty = by_cell.sum(axis=2) == 0
        self._answer = np.where(empty, by_cell.sum(axis=(0, 1)).argmax(), by_cell.argmax(axis=2)).astype(np.uint16)

    def preprocess(self, batch: Batch) -> list[tuple[int, ...]]:
        return [image.shape for image in next(iter(batch.inputs.values()))]

    def forward(self, inputs: list[tuple[int, ...]]) -> list[Array]:
        answers = []
        for shape in inputs:
            rows, columns = _cells(shape, len(self._answer))
            answers.append(self._answer[rows[:, None], columns])  # (H, W)
        return answers

    def postprocess(self, outputs: list[Array], batch: Batch) -> Predictions:
        return {"label_map": outputs}

    def operations(self, inputs: list[tuple[int, ...]]) -> Operations:
        return Operations(macs=0)

    def parameters(self) -> ParameterCounts:
        return ParameterCounts(trainable=self._answer.size, bytes=self._answer.nbytes)

    def save(self, folder: Path) -> None:
        write_arrays(folder / STATE_FILE, {"answer": self._answer})

    def load(self, folder: Path) -> None:
        answer = read_arrays(folder / STATE_FILE, {"answer": ("uint16", 2)})["answer"]
        grid, classes = self.params["grid"], len(self.problem.classes)
        if answer.shape != (grid, grid) or answer.max() >= classes:
            raise RecordError(
                f"{STATE_FILE}: wanted labels 0 to {classes - 1} in {grid} x {grid} cells, "
                f"got up to {answer.max(initial=0)} in {' x '.join(map(str, answer.shape))}."
            )
        self._answer = answer


def _cells(shape: tuple[int, ...], grid: int) -> tuple[Array, Array]:
    """Return the cell of each row (H,) and of each column (W,) of an image."""
    height, width = shape[:2]
    return np.arange(height) * grid // max(height, 1), np.arange(width) * grid // max(width, 1)
