"""The costs of a method: operations, time, memory, and the machine; each module's docstring gives the protocol.

`operations` counts, `timing` measures latency and throughput (`publish` in fresh processes), `memory` measures peak
memory, `layers` tabulates a network, `environment` describes the machine, `timing.yardstick` tells whether it was quiet
and `checks` whether the timing was honest. A run calls the functions here, in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlcvbench.contract import Array, Batch, Model, Predictions, Problem, Split, Task
from mlcvbench.plan.config import RunConfig
from mlcvbench.records.schema import (
    CheckInfo,
    LatencyInfo,
    LayersInfo,
    MemoryInfo,
    OperationsInfo,
    ThroughputInfo,
    YardstickInfo,
)

LIVE_REASON = "a model given live cannot be rebuilt in a fresh process"


@dataclass(frozen=True, slots=True)
class TimingResult:
    """Latency by stage, throughput, the yardstick around them, raw samples (int64 ns) and what the GPU did."""

    latency: dict[str, LatencyInfo]
    throughput: ThroughputInfo
    yardstick: YardstickInfo
    samples: dict[str, Array]
    gpu: dict[str, Any] = field(default_factory=dict)


def count(model: Model, one: Batch) -> tuple[OperationsInfo, LayersInfo | None]:
    """Count the operations of one sample, and of each layer of a torch network.

    See `operations.count` and `layers.record.layers_of`.
    """
    from mlcvbench.measure import operations
    from mlcvbench.measure.layers import record

    counted = operations.count(model, one)
    return counted, record.layers_of(model, one, counted)


def measure_memory(config: RunConfig, weights: Path | None) -> MemoryInfo:
    """Measure peak memory in a fresh process; null for a live model (`weights` None)."""
    from mlcvbench.measure import memory

    return MemoryInfo(reason=LIVE_REASON) if weights is None else memory.measure(config, weights)


def measure_time(config: RunConfig, model: Model, split: Split, weights: Path | None) -> TimingResult:
    """Time the model with the profile `config.time`, between two readings of the yardstick.

    `publish` rebuilds the model from `weights` in five fresh processes; where that is impossible, or another process
    holds the GPU, latency is null with a reason.
    """
    from mlcvbench.measure.timing import latency, yardstick

    before = yardstick.run()
    profile = latency.profile_named(config.time)
    if profile.processes == 1:
        result = latency.measure(model, split, profile)
    else:
        result = _publish(config, model, split, weights, profile)
    return TimingResult(
        result.latency, result.throughput, yardstick.compare(before, yardstick.run()), result.samples, result.gpu
    )


def untimed(reason: str) -> TimingResult:
    """Return a result without numbers, with the reason."""
    from mlcvbench.measure.timing import latency

    result = latency.refused(reason)
    return TimingResult(result.latency, result.throughput, YardstickInfo(reason=reason), {})


def _publish(config: RunConfig, model: Model, split: Split, weights: Path | None, profile: Any) -> Any:
    from mlcvbench.measure.probe import ProbeFailedError
    from mlcvbench.measure.timing import fresh_processes, latency
    from mlcvbench.measure.timing.throughput import measure_throughput

    reason = LIVE_REASON if weights is None else latency.device_is_shared(model)
    if reason is not None or weights is None:
        return latency.refused(reason or LIVE_REASON)
    try:
        processes = fresh_processes.time_fresh_processes(config, weights, profile)
    except ProbeFailedError as error:
        return latency.refused(str(error))
    throughput = measure_throughput(model, split, seconds=profile.seconds / 6, sync=latency.synchroniser(model))
    return latency.combine(processes, throughput)


def check_honesty(
    model: Model, split: Split, predictions: Predictions, task: Task, problem: Problem, batch_size: int
) -> dict[str, CheckInfo]:
    """Run the honesty checks; see `checks.honesty`."""
    from mlcvbench.measure import checks

    return checks.honesty(model, split, predictions, task, problem, batch_size)
