"""Time a model in this process: warm up, then alternate end-to-end calls with staged calls over real samples.

`end_to_end` (batch 1, the headline) times `predict` as a user calls it; `preprocess`, `forward`, `postprocess` are
bracketed by clocks in calls of their own and never summed. On CUDA the forward is timed on the device by events, with
no synchronisation inside the loop, and the host pass follows.
"""

from __future__ import annotations

import gc
import statistics
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlcvbench.contract.batch import Array, Batch
from mlcvbench.contract.model import Model
from mlcvbench.measure.gpu import ClockWatch, Gpu, open_gpu
from mlcvbench.records.stages import HEADLINE, PARTS, STAGES

WARM_UP_CALLS, WARM_UP_WINDOW, WARM_UP_MOVE, WARM_UP_SECONDS = 10, 5, 0.05, 60.0
HOST_BOUND = 1.1
MAX_EVENTS = 200_000
SECOND = 1_000_000_000

Clock = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Profile:
    """How long to time per process: until `count` calls and `seconds` are both reached, at most `cap` seconds."""

    count: int
    seconds: float
    cap: float = 120.0
    processes: int = 1


@dataclass(frozen=True, slots=True)
class WarmUp:
    """The outcome of the warm-up: calls, seconds, and whether consecutive windows agreed before time ran out."""

    calls: int
    seconds: float
    settled: bool


@dataclass(slots=True)
class ProcessTimes:
    """The measurements of one process: stage -> int64 ns, and their circumstances."""

    samples: dict[str, Array]
    converged: bool
    warm_up: WarmUp
    clocks: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    host_bound: bool | None = None
    gpu: dict[str, Any] = field(default_factory=dict)


def time_process(
    model: Model,
    batches: Sequence[Batch],
    profile: Profile,
    *,
    clock: Clock = time.perf_counter_ns,
    cuda: Any = None,
    gpu: Gpu | None = None,
) -> ProcessTimes:
    """Warm up and time one process. `cuda` (default torch.cuda) and `gpu` (default NVML's) matter on CUDA only."""
    sync: Callable[[], None] | None = None
    watch: ClockWatch | None = None
    if model.device.type == "cuda":
        if cuda is None:
            import torch

            cuda = torch.cuda
        sync = cuda.synchronize
        gpu = gpu or open_gpu(model.device.index)
        watch = ClockWatch(gpu.state, gpu.default_sm_mhz()) if gpu else None
    warm = warm_up(model, batches, clock=clock, sync=sync)
    gc.collect()
    device = _device_pass(model, batches, profile, clock, cuda, watch) if sync else None
    times = _host_pass(model, batches, profile, clock, sync, watch, warm)
    if device is not None:
        _adopt_device_times(times, *device)
    if watch is not None:
        times.gpu = watch.summary()
    return times


def warm_up(
    model: Model,
    batches: Sequence[Batch],
    *,
    clock: Clock = time.perf_counter_ns,
    sync: Callable[[], None] | None = None,
) -> WarmUp:
    """Call each distinct shape twice, then continue until at least 10 calls are made and windows of 5 differ by under 5
    %.

    Stops after 60 seconds in any case.
    """
    begin, durations = clock(), array("q")
    predict = ended_by(sync, model.predict)
    shapes = _one_batch_a_shape(batches)
    first = [batch for batch in shapes for _ in range(2)]
    while True:
        call = len(durations)
        batch = first[call] if call < len(first) else batches[call % len(batches)]
        start = clock()
        predict(batch)
        stop = clock()
        durations.append(stop - start)
        done = max(WARM_UP_CALLS, len(first))
        if len(durations) >= done and _settled(durations):
            return WarmUp(len(durations), (stop - begin) / SECOND, settled=True)
        if stop - begin >= WARM_UP_SECONDS * SECOND:
            return WarmUp(len(durations), (stop - begin) / SECOND, settled=False)


def _settled(durations: Sequence[int]) -> bool:
    """Return whether the medians of the last two windows of 5 calls differ by less than 5 %."""
    last = statistics.median(durations[-WARM_UP_WINDOW:])
    before = statistics.median(durations[-2 * WARM_UP_WINDOW : -WARM_UP_WINDOW])
    return abs(last - before) < WARM_UP_MOVE * before or last == before


def _one_batch_a_shape(batches: Sequence[Batch]) -> list[Batch]:
    """Return the first batch of each distinct input shape."""
    seen: dict[tuple[Any, ...], Batch] = {}
    for batch in batches:
        shape = tuple((kind, *(np.shape(value) for value in column)) for kind, column in sorted(batch.inputs.items()))
        seen.setdefault(shape, batch)
    return list(seen.values())


def _host_pass(
    model: Model,
    batches: Sequence[Batch],
    profile: Profile,
    clock: Clock,
    sync: Callable[[], None] | None,
    watch: ClockWatch | None,
    warm: WarmUp,
) -> ProcessTimes:
    """Alternate one end-to-end call and one staged call, half a rotation apart, until the profile is satisfied."""
    whole, before, forward, after, when = array("q"), array("q"), array("q"), array("q"), array("q")
    predict, preprocess, compute, postprocess = (
        ended_by(sync, stage) for stage in (model.predict, model.preprocess, model.forward, model.postprocess)
    )
    total = len(batches)
    begin = clock()
    call, elapsed, converged = 0, 0, False
    while not converged and elapsed < profile.cap * SECOND:
        batch, other = batches[turn_of(HEADLINE, call, total)], batches[turn_of(PARTS[0], call, total)]
        start = clock()
        predict(batch)
        whole.append(clock() - start)
        entry = clock()
        inputs = preprocess(other)
        ready = clock()
        outputs = compute(inputs)
        computed = clock()
        postprocess(outputs, other)
        end = clock()
        before.append(ready - entry)
        forward.append(computed - ready)
        after.append(end - computed)
        when.append(entry)
        call += 1
        elapsed = end - begin
        converged = call >= profile.count and elapsed >= profile.seconds * SECOND
        if watch is not None:
            watch.poll(end)
    samples = {
        name: np.array(values, dtype=np.int64)
        for name, values in zip(STAGES, (whole, before, forward, after), strict=True)
    }
    times = ProcessTimes(samples, converged, warm, clocks=dict.fromkeys(STAGES, "perf_counter_ns"))
    if watch is not None:
        _drop(times, STAGES, watch.slow(np.array(when, dtype=np.int64)))
    return times


def turn_of(stage: str, call: Any, total: int) -> Any:
    """Return which of `total` batches a call has, or each of several calls: those in stages are half a rotation ahead.

    >>> turn_of("end_to_end", 5, 4), turn_of("forward", 5, 4)
    (1, 3)
    """
    return (call + (0 if stage == HEADLINE else total // 2)) % total


def ended_by(sync: Callable[[], None] | None, stage: Callable[..., Any]) -> Callable[..., Any]:
    """Return the stage itself, or on a device the stage followed by the wait for its end."""
    if sync is None:
        return stage

    def waited(*args: Any) -> Any:
        result = stage(*args)
        sync()
        return result

    return waited


def _device_pass(
    model: Model, batches: Sequence[Batch], profile: Profile, clock: Clock, cuda: Any, watch: ClockWatch | None
) -> tuple[Array, Array]:
    """Time forwards by CUDA events without waiting in between; return durations and starts (int64 ns, host clock)."""
    inputs = [model.preprocess(batch) for batch in batches]
    events: list[tuple[Any, Any]] = []
    cuda.synchronize()
    origin = cuda.Event(enable_timing=True)
    begin = clock()
    origin.record()
    elapsed = 0
    while len(events) < MAX_EVENTS and elapsed < profile.cap * SECOND:
        start, stop = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
        start.record()
        model.forward(inputs[len(events) % len(inputs)])
        stop.record()
        events.append((start, stop))
        now = clock()
        elapsed = now - begin
        if watch is not None:
            watch.poll(now)
        if len(events) >= profile.count and elapsed >= profile.seconds * SECOND:
            break
    cuda.synchronize()
    # elapsed_time is in milliseconds
    durations = np.array([round(start.elapsed_time(stop) * 1e6) for start, stop in events], dtype=np.int64)
    starts = np.array([begin + round(origin.elapsed_time(start) * 1e6) for start, _ in events], dtype=np.int64)
    if watch is None:
        return durations, np.zeros(len(durations), dtype=bool)
    return durations, watch.slow(starts)


def _adopt_device_times(times: ProcessTimes, durations: Array, slow: Array) -> None:
    """Use the device's clock for the forward stage; keep the host's as `forward_host` and compare the two."""
    times.samples["forward_host"] = times.samples["forward"]
    times.samples["forward"] = durations
    times.clocks["forward"] = "cuda_event"
    times.dropped["forward"] = 0
    _drop(times, ("forward",), slow)
    if len(times.samples["forward"]) and len(times.samples["forward_host"]):
        host, device = np.median(times.samples["forward_host"]), np.median(times.samples["forward"])
        times.host_bound = bool(host > HOST_BOUND * device)


def _drop(times: ProcessTimes, names: Sequence[str], slow: Array) -> None:
    """Drop the samples taken at a throttled clock, and count them."""
    for name in names:
        times.samples[name] = times.samples[name][~slow]
        times.dropped[name] = int(slow.sum())
