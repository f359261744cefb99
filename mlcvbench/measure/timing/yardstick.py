"""A fixed matrix product and convolution, run before and after a timing, to detect changes of the machine's speed.

Plain numpy, float32, with the run's thread setting, so that any method can be measured without importing torch. Its
time is also a unit for comparing machines.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mlcvbench.contract.batch import Array
from mlcvbench.records.doubts import is_noisy
from mlcvbench.records.schema import YardstickInfo

BLOCKS, JOBS = 5, 6
SIDE, CHANNELS, MAP = 256, 16, 32


class Reading(NamedTuple):
    """`seconds` of one job (median of all), `deviation` the relative standard deviation of the block medians."""

    seconds: float
    deviation: float


def run(clock: Callable[[], int] = time.perf_counter_ns) -> Reading:
    """Run the job in 5 blocks of 6 after two untimed ones; takes about a tenth of a second."""
    rng = np.random.default_rng(0)
    left = rng.standard_normal((SIDE, SIDE), dtype=np.float32)
    right = rng.standard_normal((SIDE, SIDE), dtype=np.float32)
    maps = rng.standard_normal((CHANNELS, MAP + 2, MAP + 2), dtype=np.float32)
    kernels = rng.standard_normal((CHANNELS, CHANNELS * 9), dtype=np.float32)
    for _ in range(2):
        _job(left, right, maps, kernels)
    blocks: list[list[int]] = []
    for _ in range(BLOCKS):
        block = []
        for _ in range(JOBS):
            start = clock()
            _job(left, right, maps, kernels)
            block.append(clock() - start)
        blocks.append(block)
    medians = [statistics.median(block) for block in blocks]
    middle = statistics.median(duration for block in blocks for duration in block)
    return Reading(middle * 1e-9, statistics.stdev(medians) / middle if middle else 0.0)


def _job(left: Array, right: Array, maps: Array, kernels: Array) -> None:
    """Multiply twice and convolve 3x3 by gathering windows: (C, 9, H, W) against (C', 9 C)."""
    np.matmul(left, right)
    np.matmul(right, left)
    windows = np.lib.stride_tricks.sliding_window_view(maps, (3, 3), axis=(1, 2))  # (C, H, W, 3, 3)
    columns = windows.transpose(0, 3, 4, 1, 2).reshape(CHANNELS * 9, MAP * MAP)
    np.matmul(kernels, columns)


def compare(before: Reading, after: Reading) -> YardstickInfo:
    """Return both readings; `noisy` when they differ, or one was unsteady in itself, as `doubts.is_noisy` says."""
    own = max(before.deviation, after.deviation)
    return YardstickInfo(
        before=before.seconds,
        after=after.seconds,
        deviation=own,
        noisy=is_noisy(before.seconds, after.seconds, own),
    )
