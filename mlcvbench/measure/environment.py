"""Describe the machine and the software of a run, without names of hosts, people or folders."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from mlcvbench.contract.model import Device
from mlcvbench.limits import usable_cores
from mlcvbench.records.schema import EnvironmentInfo

PACKAGES = (
    "mlcvbench",
    "numpy",
    "scipy",
    "scikit-learn",
    "scikit-image",
    "torch",
    "torchvision",
    "timm",
    "opencv-contrib-python-headless",
    "faiss-cpu",
    "pillow",
    "pandas",
    "pyarrow",
    "pydantic",
    "pycocotools",
    "hotcoco",
    "mlxtend",
    "safetensors",
)
"""Distributions whose version can change a score or a time."""


class Machine(NamedTuple):
    """The machine and the software of a run, and the class within which its times may be compared."""

    info: EnvironmentInfo
    env_class: str


def describe(device: Device) -> Machine:
    """Return CPU, GPU, memory, system and package versions for a run on `device`; unknown facts are None."""
    gpu = _gpu(device.index) if device.type == "cuda" else {}
    info = EnvironmentInfo(
        cpu=cpu_model(),
        cores=usable_cores(),
        gpu=gpu.pop("name", None),
        gpu_driver=gpu.pop("driver", None),
        memory_bytes=_memory_bytes(),
        os=_system(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        threads=device.threads,
        device=device.type,
        precision=device.precision,
        packages=package_versions(),
        extra=gpu,
    )
    return Machine(info, env_class(info))


def env_class(info: EnvironmentInfo) -> str:
    """Return the class within which times may be compared: device, its model, threads, precision, torch major.minor.

    >>> env_class(EnvironmentInfo(cpu="AMD EPYC", threads=2, packages={"torch": "2.15.0+cu132"}))
    'cpu|AMD EPYC|threads=2|float32|torch2.15'
    """
    unit = info.cpu if info.device == "cpu" else f"{info.gpu or 'unknown'}|{info.cpu or 'unknown'}"
    torch_version = info.packages.get("torch")
    torch_part = "no-torch" if torch_version is None else "torch" + ".".join(torch_version.split(".")[:2])
    return "|".join([info.device, unit or "unknown", f"threads={info.threads}", info.precision, torch_part])


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str | None:
    """Return the processor's model name as reported by the kernel, blanks collapsed."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return " ".join(value.split())
    return platform.processor() or platform.machine() or None


def package_versions() -> dict[str, str]:
    """Return the versions of those `PACKAGES` that are installed; nothing is imported."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _memory_bytes() -> int | None:
    """Read the machine's memory from sysconf, without importing anything."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None


def _system() -> str:
    """Name system, kernel major.minor (a full release string can carry a builder's name) and architecture."""
    release = ".".join(platform.release().split("-")[0].split(".")[:2])
    return f"{platform.system()} {release} {platform.machine()}"


def _gpu(index: int) -> dict[str, Any]:
    """Describe the CUDA device through NVML, or through torch where NVML is missing."""
    from mlcvbench.measure.gpu import open_gpu

    gpu = open_gpu(index)
    if gpu is not None:
        state = gpu.state()
        facts: dict[str, Any] = {
            "name": gpu.name(),
            "driver": gpu.driver(),
            "gpu_memory_bytes": gpu.memory_bytes(),
            "gpu_sm_mhz_default": gpu.default_sm_mhz(),
            "gpu_sm_mhz": state.sm_mhz,
            "gpu_temperature": state.temperature,
        }
    else:
        facts = {}
    import torch

    if torch.cuda.is_available():
        facts["name"] = facts.get("name") or torch.cuda.get_device_name(index)
        facts["cuda"] = torch.version.cuda
        facts["cudnn"] = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]  # torch is partly typed
    return facts
