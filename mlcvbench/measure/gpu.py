"""Read-only access to an NVIDIA device through NVML: name, clocks, temperature, throttling, other processes.

Everything here is optional: without the `gpu` extra, or without a device, `open_gpu` returns None and the record says
null. Clocks are read, never changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlcvbench.contract.batch import Array

THROTTLE_REASONS = {
    0x0000000000000002: "applications_clocks_setting",
    0x0000000000000004: "software_power_cap",
    0x0000000000000008: "hardware_slowdown",
    0x0000000000000010: "sync_boost",
    0x0000000000000020: "software_thermal_slowdown",
    0x0000000000000040: "hardware_thermal_slowdown",
    0x0000000000000080: "hardware_power_brake",
    0x0000000000000100: "display_clocks_setting",
}
"""Bits of NVML's clock event reasons; idle (0x1) is not throttling."""
LEAST_CLOCK = 0.75
"""Samples taken while the SM clock was below this fraction of its default are dropped."""
POLL_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class GpuState:
    """One reading: SM clock in MHz, temperature in degrees Celsius, power in watts, names of throttle reasons."""

    sm_mhz: int | None = None
    temperature: int | None = None
    power: float | None = None
    throttle: tuple[str, ...] = ()


class Gpu:
    """One device; `nvml` is the pynvml module (or a stand-in with the same functions), `handle` its device handle."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle

    def _ask(self, name: str, *args: Any) -> Any:
        """Call one NVML query; None where the driver does not support it."""
        try:
            return getattr(self._nvml, name)(self._handle, *args)
        except (self._nvml.NVMLError, AttributeError):
            return None

    def name(self) -> str | None:
        """Return the model name, such as `NVIDIA H200`."""
        value = self._ask("nvmlDeviceGetName")
        return value.decode() if isinstance(value, bytes) else value

    def driver(self) -> str | None:
        """Return the driver's version."""
        try:
            value = self._nvml.nvmlSystemGetDriverVersion()
        except self._nvml.NVMLError:
            return None
        return value.decode() if isinstance(value, bytes) else str(value)

    def memory_bytes(self) -> int | None:
        """Return the device memory in bytes."""
        info = self._ask("nvmlDeviceGetMemoryInfo")
        return None if info is None else int(info.total)

    def default_sm_mhz(self) -> int | None:
        """Return the default SM clock: the default application clock, or the highest clock where there is none."""
        sm = getattr(self._nvml, "NVML_CLOCK_SM", 1)
        value = self._ask("nvmlDeviceGetDefaultApplicationsClock", sm) or self._ask("nvmlDeviceGetMaxClockInfo", sm)
        return None if value is None else int(value)

    def state(self) -> GpuState:
        """Return the current clock, temperature, power draw and throttle reasons."""
        power = self._ask("nvmlDeviceGetPowerUsage")
        bits = self._ask("nvmlDeviceGetCurrentClocksEventReasons")
        if bits is None:
            bits = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons") or 0
        return GpuState(
            sm_mhz=self._ask("nvmlDeviceGetClockInfo", getattr(self._nvml, "NVML_CLOCK_SM", 1)),
            temperature=self._ask("nvmlDeviceGetTemperature", getattr(self._nvml, "NVML_TEMPERATURE_GPU", 0)),
            power=None if power is None else power / 1000.0,
            throttle=tuple(name for bit, name in THROTTLE_REASONS.items() if bits & bit),
        )

    def processes(self) -> dict[int, int]:
        """Return pid -> bytes of device memory of every compute process (0 where the driver hides the bytes)."""
        listed = self._ask("nvmlDeviceGetComputeRunningProcesses") or []
        return {int(process.pid): int(process.usedGpuMemory or 0) for process in listed}

    def others(self, own: frozenset[int]) -> int:
        """Return how many compute processes besides `own` hold the device.

        Inside a container NVML lists pids of the host, among which our own cannot be identified; one is then assumed to
        be ours.
        """
        pids = set(self.processes())
        if pids & own or not pids:
            return len(pids - own)
        return len(pids) - 1


@dataclass
class ClockWatch:
    """Clock readings taken between timed calls, at most one per `POLL_NS`, and which samples they disqualify."""

    read: Callable[[], GpuState]
    default_mhz: int | None
    times: list[int] = field(default_factory=list)
    states: list[GpuState] = field(default_factory=list)

    def poll(self, now: int) -> None:
        """Take a reading if the last one is old enough; `now` in nanoseconds."""
        if not self.times or now - self.times[-1] >= POLL_NS:
            self.times.append(now)
            self.states.append(self.read())

    def slow(self, when: Array) -> Array:
        """Return bool (N,): the nearest reading to each time of `when` (int64 ns) was under 75 % of the default."""
        if self.default_mhz is None or not self.times:
            return np.zeros(len(when), dtype=bool)
        times = np.asarray(self.times, dtype=np.int64)
        clocks = np.array([s.sm_mhz if s.sm_mhz is not None else self.default_mhz for s in self.states])
        right = np.clip(np.searchsorted(times, when), 1, max(len(times) - 1, 1))
        right = np.minimum(right, len(times) - 1)
        left = np.maximum(right - 1, 0)
        nearest = np.where(np.abs(times[left] - when) <= np.abs(times[right] - when), left, right)
        return clocks[nearest] < LEAST_CLOCK * self.default_mhz

    def summary(self) -> dict[str, Any]:
        """Return the summary for a record: clock range, highest temperature and power, throttle reasons seen."""
        clocks = [s.sm_mhz for s in self.states if s.sm_mhz is not None]
        heat = [s.temperature for s in self.states if s.temperature is not None]
        power = [s.power for s in self.states if s.power is not None]
        return {
            "sm_mhz_default": self.default_mhz,
            "sm_mhz_min": min(clocks, default=None),
            "sm_mhz_max": max(clocks, default=None),
            "temperature_max": max(heat, default=None),
            "power_max_watts": max(power, default=None),
            "throttle": sorted({reason for s in self.states for reason in s.throttle}),
            "readings": len(self.states),
        }


def open_gpu(index: int) -> Gpu | None:
    """Return the device that torch calls `cuda:index`, or None without NVML or the device."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        return Gpu(pynvml, _handle(pynvml, index))
    except pynvml.NVMLError:
        return None


def _handle(nvml: Any, index: int) -> Any:
    """Find the NVML handle of torch's device: by UUID, since CUDA_VISIBLE_DEVICES renumbers torch's but not NVML's."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible:
        import torch

        uuid = str(torch.cuda.get_device_properties(index).uuid)
        return nvml.nvmlDeviceGetHandleByUUID(uuid if uuid.startswith("GPU-") else f"GPU-{uuid}")
    return nvml.nvmlDeviceGetHandleByIndex(index)
