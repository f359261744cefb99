"""The accuracy pass: predictions of a split, batch by batch, checked as they come."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from mlcvbench.contract import Array, Batch, Model, Predictions, Problem, Split, Task
from mlcvbench.errors import PredictionError
from mlcvbench.processes.progress import Progress, silent

PROGRESS_SECONDS = 0.1


def predict(
    model: Model,
    split: Split,
    task: Task,
    problem: Problem,
    size: int,
    *,
    shards: int = 1,
    progress: Progress = silent,
) -> Predictions:
    """Return checked, quantised predictions for the whole split.

    Batches are fixed consecutive blocks; a shard is a sequence of whole blocks, so any number of shards gives the same
    bits.
    """
    parts: list[Predictions] = []
    said = time.monotonic()
    for indices in shard_indices(len(split), size, shards):
        for batch in split.inputs(size, indices):
            parts.append(checked(model.predict(batch), batch, task, problem))
            if time.monotonic() - said > PROGRESS_SECONDS:
                said = time.monotonic()
                progress("predict", min(len(parts) * size, len(split)), len(split))
    if not parts:
        raise PredictionError(f"split {split.name!r} has no samples, so there is nothing to predict.")
    return task.merge(parts)


def checked(raw: Any, batch: Batch, task: Task, problem: Problem) -> Predictions:
    """Return one batch of predictions, checked and quantised."""
    return task.check(raw, batch.ids, problem)


def shard_indices(count: int, size: int, shards: int) -> list[Array | None]:
    """Return the sample indices of each shard in whole blocks; [None] means all, without an index array.

    >>> [part.tolist() for part in shard_indices(5, 2, 2)]
    [[0, 1, 2, 3], [4]]
    """
    if shards == 1:
        return [None]
    blocks = np.array_split(np.arange(-(-count // size)), shards)
    return [np.arange(part[0] * size, min((part[-1] + 1) * size, count)) for part in blocks if len(part)]
