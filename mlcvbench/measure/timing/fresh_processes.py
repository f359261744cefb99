"""The `publish` profile: the same model timed in five fresh processes, one after the other.

Only the spread between processes predicts another process; see `summary.prediction_interval`.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.measure.probe import Probe
from mlcvbench.measure.timing.one_process import WARM_UP_SECONDS, ProcessTimes, Profile, WarmUp
from mlcvbench.plan.config import RunConfig

START_SECONDS = 300.0
"""Seconds that a process may take to import, load and warm up before its timing begins."""


def time_fresh_processes(config: RunConfig, weights: Path, profile: Profile) -> list[ProcessTimes]:
    """Time the run's model in `profile.processes` fresh processes. ProbeFailedError when one of them fails."""
    return [time_fresh_process(config, weights, profile) for _ in range(profile.processes)]


def time_fresh_process(config: RunConfig, weights: Path, profile: Profile) -> ProcessTimes:
    """Time the run's model once in a fresh process."""
    # twice the cap, since on CUDA a device pass precedes the host pass
    seconds = START_SECONDS + WARM_UP_SECONDS + 2 * profile.cap
    with Probe(config, weights, {"mode": "latency", "profile": asdict(profile)}, seconds) as probe:
        probe.wait_for("ready")
        probe.go()
        return _times_from(probe.wait_for("done"))


def _times_from(answer: dict[str, Any]) -> ProcessTimes:
    calls, seconds, settled = answer["warm_up"]
    return ProcessTimes(
        samples={name: np.array(values, dtype=np.int64) for name, values in answer["samples"].items()},
        converged=bool(answer["converged"]),
        warm_up=WarmUp(int(calls), float(seconds), bool(settled)),
        clocks=dict(answer["clocks"]),
        dropped={name: int(value) for name, value in answer["dropped"].items()},
        host_bound=answer["host_bound"],
        gpu=dict(answer["gpu"]),
    )
