"""The baseline of depth: the same distance for every pixel, whatever the image shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import Array, Batch, FitContext, Model, Operations, ParameterCounts, Predictions, Problem, Split
from mlcvbench.errors import DataError
from mlcvbench.files.arrays import read_arrays, write_arrays

STATE_FILE = "constant_depth.safetensors"
_SAMPLE = 1 << 16
"""Known pixels taken from each training map; the median of many maps needs no more."""


def constant_depth(problem: Problem, **params: Any) -> Model:
    """Return the baseline: a given `value`, the median of the training pixels, or the middle of the search range.

    A stereo problem says in `extra["trained"]` whether it has training pixels; others always do.
    """
    value = params.get("value")
    if value is None and problem.extra.get("field") == "disparity" and not problem.extra.get("trained"):
        value = float(problem.extra["disparities"]) / 2
    return MedianDepth(problem, **params) if value is None else ConstantDepth(problem, value=value)


class ConstantDepth(Model):
    """Predict `value` everywhere: pixels of disparity or metres of depth, by the problem."""

    def __init__(self, problem: Problem, **params: Any) -> None:
        super().__init__(problem, **params)
        self._field = str(problem.extra["field"])
        self._value: float | None = params.get("value")

    def preprocess(self, batch: Batch) -> list[tuple[int, int]]:
        images = next(iter(batch.inputs.values()))
        return [(image.shape[0], image.shape[1]) for image in images]

    def forward(self, inputs: list[tuple[int, int]]) -> list[Array]:
        return [np.full(shape, self._value, dtype=np.float32) for shape in inputs]

    def postprocess(self, outputs: list[Array], batch: Batch) -> Predictions:
        return {self._field: outputs}

    def operations(self, inputs: Any) -> Operations:
        return Operations(macs=0)

    def parameters(self) -> ParameterCounts:
        return ParameterCounts(trainable=1, bytes=8)


class MedianDepth(ConstantDepth):
    """Predict the median of the known training pixels."""

    def fit(self, train: Split, val: Split | None, ctx: FitContext) -> None:
        known: list[Array] = []
        for truth in train.targets().get(self._field, ()):
            values = truth[truth > 0]
            known.append(values[:: max(1, len(values) // _SAMPLE)])
        if not sum(map(len, known)):
            raise DataError(f"constant_depth: split {train.name!r} has no known depth.")
        self._value = float(np.median(np.concatenate(known)))

    def save(self, folder: Path) -> None:
        write_arrays(folder / STATE_FILE, {"value": np.array([self._value], dtype=np.float64)})

    def load(self, folder: Path) -> None:
        self._value = float(read_arrays(folder / STATE_FILE, {"value": ("float64", 1)})["value"][0])
