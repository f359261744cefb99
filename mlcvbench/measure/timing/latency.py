"""Latency of a model: the profiles, the timed samples, and the values that the record keeps.

`one_process` does the timing in one process; `publish` uses several.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mlcvbench.contract.batch import Array, Batch
from mlcvbench.contract.model import Model
from mlcvbench.contract.split import Split
from mlcvbench.errors import RequestError
from mlcvbench.measure.gpu import Gpu, open_gpu
from mlcvbench.measure.timing.one_process import Clock, ProcessTimes, Profile, time_process, turn_of
from mlcvbench.measure.timing.summary import summarise
from mlcvbench.plan.config import TimeProfile
from mlcvbench.records.schema import LatencyInfo, ThroughputInfo
from mlcvbench.records.stages import STAGES

ROTATION = 64
"""Number of distinct real samples that are timed in turn (all when the split has fewer)."""
MAX_STORED = 100_000

PROFILES: dict[str, Profile] = {
    "quick": Profile(11, 1.0),
    "standard": Profile(64, 10.0),
    "publish": Profile(662, 60.0, processes=5),
}


class CallTimes(NamedTuple):
    """Calls of one stage: `duration` int64 (N,) in ns, and `turn` int64 (N,): which sample in rotation each had."""

    duration: Array
    turn: Array


@dataclass(frozen=True, slots=True)
class LatencyResult:
    """Latency by stage, throughput, raw samples by stage (int64 ns; `NAME.K` of process K when there are several)."""

    latency: dict[str, LatencyInfo]
    throughput: ThroughputInfo
    samples: dict[str, Array]
    gpu: dict[str, Any] = field(default_factory=dict)


def profile_named(name: TimeProfile | str) -> Profile:
    """Return a profile by name; RequestError for `off` or an unknown one."""
    if name not in PROFILES:
        raise RequestError(f"time={name}: wanted quick, standard or publish to measure latency.")
    return PROFILES[name]


def measure(model: Model, split: Split, profile: Profile, *, clock: Clock = time.perf_counter_ns) -> LatencyResult:
    """Time `model` on samples of `split` in this process, which should be fresh."""
    from mlcvbench.measure.timing.throughput import measure_throughput

    times = time_process(model, rotation(split), profile, clock=clock)
    throughput = measure_throughput(model, split, seconds=profile.seconds, clock=clock, sync=synchroniser(model))
    return combine([times], throughput)


def rotation(split: Split, most: int = ROTATION) -> list[Batch]:
    """Read `most` samples spread evenly over the split as batches of one, in advance, so that decoding is not timed."""
    return [split.read([index])[0] for index in rotated(len(split), most).tolist()]


def rotated(count: int, most: int = ROTATION) -> Array:
    """Return which of `count` samples are timed in turn, int64 (R,), ascending."""
    return np.unique(np.linspace(0, count - 1, most).round().astype(np.int64))


def calls_by_sample(
    result: Mapping[str, LatencyInfo], samples: Mapping[str, Array], total: int
) -> dict[str, CallTimes]:
    """Return by stage the durations of calls, and which of the `total` samples in rotation each had.

    Empty where the calls are not known one by one: on a device, which times them apart, and where calls were dropped or
    thinned.
    """
    found: dict[str, CallTimes] = {}
    for stage in STAGES:
        parts = [values for name, values in samples.items() if name.partition(".")[0] == stage]
        info = result.get(stage)
        if info is None or info.dropped or info.clock != "perf_counter_ns" or sum(map(len, parts)) != info.n:
            return {}
        turns = [turn_of(stage, np.arange(len(values)), total) for values in parts]
        found[stage] = CallTimes(np.concatenate(parts), np.concatenate(turns))
    return found


def synchroniser(model: Model) -> Callable[[], None] | None:
    """Return a function that waits for the model's device, None for a CPU, which needs none."""
    if model.device.type != "cuda":
        return None
    import torch

    index = model.device.index
    return lambda: torch.cuda.synchronize(index)


def combine(processes: Sequence[ProcessTimes], throughput: ThroughputInfo) -> LatencyResult:
    """Join the processes' samples into the record's latencies and the raw samples stored beside it."""
    latency = {
        name: summarise(
            [times.samples[name] for times in processes],
            clock=processes[0].clocks.get(name, "perf_counter_ns"),
            host_bound=any(bool(times.host_bound) for times in processes)
            if name == "forward" and processes[0].host_bound is not None
            else None,
            dropped=sum(times.dropped.get(name, 0) for times in processes),
            converged=all(times.converged for times in processes),
        )
        for name in STAGES
    }
    several = len(processes) > 1
    samples = {
        f"{name}.{number}" if several else name: thinned(values)
        for number, times in enumerate(processes)
        for name, values in times.samples.items()
    }
    return LatencyResult(latency, throughput, samples, gpu=processes[0].gpu)


def thinned(samples: Array, most: int = MAX_STORED) -> Array:
    """Return `samples`, or every k-th of them so that at most `most` are stored; statistics always use all."""
    return samples[:: -(-len(samples) // most)] if len(samples) > most else samples


def refused(reason: str) -> LatencyResult:
    """Return a result without numbers, with the reason."""
    latency = {name: LatencyInfo(n=0, processes=0, converged=False, reason=reason) for name in STAGES}
    return LatencyResult(latency, ThroughputInfo(reason=reason), {})


def device_is_shared(model: Model, gpu: Gpu | None = None) -> str | None:
    """Return why a `publish` timing must not be made on this device now, None when it may."""
    if model.device.type != "cuda":
        return None
    gpu = gpu or open_gpu(model.device.index)
    others = gpu.others(frozenset((os.getpid(), os.getppid()))) if gpu else 0
    if not others:
        return None
    return f"refused: {others} other process{'es hold' if others > 1 else ' holds'} the GPU; use time=standard or wait"
