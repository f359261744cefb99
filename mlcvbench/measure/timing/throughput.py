"""Images per second at the best batch size: whole `predict` calls at growing batch sizes within a time budget."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from mlcvbench.contract.batch import Batch
from mlcvbench.contract.model import Model
from mlcvbench.contract.split import Split
from mlcvbench.measure.timing.one_process import ended_by
from mlcvbench.records.schema import ThroughputInfo

SIZES = (1, 8, 64, 256)
LEAST_CALLS, MOST_CALLS = 3, 1000
MAX_BATCH_BYTES = 64 * 2**20
"""Inputs larger than this are not tried: activations are many times as large, and the run would run out of memory."""
SECOND = 1_000_000_000


def measure_throughput(
    model: Model,
    split: Split,
    *,
    seconds: float,
    clock: Callable[[], int] = time.perf_counter_ns,
    sync: Callable[[], None] | None = None,
) -> ThroughputInfo:
    """Return images per second by batch size and the best; each size gets an equal share of `seconds`.

    A size is left out when the split is smaller, when samples differ in size, when its inputs are too large, or when
    three calls would not fit into the whole budget. Out of memory ends the curve.
    """
    sizes = (1,) if split.ragged else tuple(size for size in SIZES if size <= len(split))
    curve: dict[str, float] = {}
    per_image = 0.0
    for size in sizes:
        if curve and per_image * size * (LEAST_CALLS + 1) > seconds * SECOND:
            break
        batches = _batches(split, size)
        if size > 1 and _bytes(batches[0]) > MAX_BATCH_BYTES:
            break
        try:
            per_call = _median_call(model, batches, seconds / len(sizes), clock, sync)
        except (MemoryError, RuntimeError) as error:
            if not curve or not _out_of_memory(error):
                raise
            break
        per_image = per_call / size
        curve[str(size)] = SECOND / max(per_image, 1e-9)
    if not curve:
        return ThroughputInfo(reason="the split has no samples")
    best = max(curve, key=lambda size: curve[size])
    return ThroughputInfo(batch=int(best), images_per_s=curve[best], curve=curve)


def _batches(split: Split, size: int) -> list[Batch]:
    """Read up to four distinct full batches."""
    starts = np.unique(np.linspace(0, len(split) - size, 4).round().astype(np.int64))
    return [split.read(slice(int(start), int(start) + size))[0] for start in starts]


def _bytes(batch: Batch) -> int:
    return sum(int(np.asarray(column).nbytes) for column in batch.inputs.values())


def _median_call(
    model: Model,
    batches: list[Batch],
    seconds: float,
    clock: Callable[[], int],
    sync: Callable[[], None] | None,
) -> float:
    """Return the median nanoseconds of a call after one untimed call."""
    durations: list[int] = []
    predict, begin = ended_by(sync, model.predict), clock()
    while True:
        batch = batches[len(durations) % len(batches)]
        start = clock()
        predict(batch)
        stop = clock()
        durations.append(stop - start)
        calls = len(durations) - 1
        if calls >= MOST_CALLS or (calls >= LEAST_CALLS and stop - begin >= seconds * SECOND):
            return statistics.median(durations[1:])


def _out_of_memory(error: BaseException) -> bool:
    """Return whether an error is an allocation failure, not a fault of the model: torch raises RuntimeErrors for
    both.
    """
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text
