"""Peak memory of predicting, in a separate pass: a fresh process, observed from outside every 10 milliseconds."""

from __future__ import annotations

from pathlib import Path

from mlcvbench.measure.probe import Probe, ProbeFailedError
from mlcvbench.plan.config import RunConfig
from mlcvbench.records.schema import MemoryInfo

SAMPLED_EVERY = 0.01
PROBE_SECONDS = 600.0


def measure(config: RunConfig, weights: Path | None, *, seconds: float = PROBE_SECONDS) -> MemoryInfo:
    """Return the memory of predicting a few batches; `weights` names the fitted state, a folder or a file.

    `host_peak` is the highest resident size minus the baseline, which is taken once data and model are loaded: as
    observed from outside, or by the kernel's high-water mark since then where that is higher (a peak can be shorter
    than the sampling interval). `host_high_water` is that mark of the whole process. A failing probe does not raise:
    all numbers are None and `reason` says why.
    """
    seen: list[int] = []
    try:
        with Probe(config, weights, {"mode": "memory"}, min(seconds, config.seconds)) as probe:
            probe.wait_for("ready")
            baseline = resident_bytes(probe.pid)
            probe.go()
            answer = probe.wait_for(
                "done", every=SAMPLED_EVERY, meanwhile=lambda: seen.append(resident_bytes(probe.pid))
            )
    except ProbeFailedError as error:
        return MemoryInfo(reason=str(error))
    mark = answer.get("host_high_water")
    highest = max([*seen, mark] if mark is not None and answer.get("fresh_mark") else seen)
    return MemoryInfo(
        host_baseline=baseline,
        host_peak=max(0, highest - baseline),
        host_high_water=mark,
        device_peak_allocated=answer.get("device_peak_allocated"),
        device_peak_reserved=answer.get("device_peak_reserved"),
        device_process=answer.get("device_process"),
        sampled_every=SAMPLED_EVERY,
    )


def resident_bytes(pid: int) -> int:
    """Return the resident set of a process in bytes; 0 when it has just ended."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
