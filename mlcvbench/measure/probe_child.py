"""The child side of a measurement: rebuild the model of a run, measure, leave the result as JSON.

Run as `-m mlcvbench.measure.probe_child FOLDER`; the folder holds the request. The talk with the parent goes over the
original standard output, which is then pointed at the log, so that a model that prints cannot disturb it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import orjson

from mlcvbench.contract import Model, Split
from mlcvbench.measure.probe import REQUEST_FILE, RESULT_FILE
from mlcvbench.plan.config import RunConfig
from mlcvbench.processes.stdout import take_stdout

PREDICTED_BATCHES = 4
"""Batches that the memory pass predicts."""


def main(folder: Path) -> None:
    """Carry out the request in `folder`."""
    die_with_parent()
    with take_stdout() as talk:
        _measure(folder, talk)


def _measure(folder: Path, talk: TextIO) -> None:
    request = orjson.loads((folder / REQUEST_FILE).read_bytes())
    config = RunConfig.from_dict(request["config"])
    model, split, size = _rebuild(config, request["weights"])
    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "memory": lambda: predict_for_memory(model, split, size),
        "latency": lambda: time_once(model, split, request["profile"]),
    }
    fresh_mark = request["mode"] == "memory" and reset_high_water()
    talk.write("ready\n")
    talk.flush()
    if sys.stdin.readline().strip() != "go":
        return
    answer = {**measures[request["mode"]](), "fresh_mark": fresh_mark}
    (folder / RESULT_FILE).write_bytes(orjson.dumps(answer))
    talk.write("done\n")
    talk.flush()


def _rebuild(config: RunConfig, weights: str | None) -> tuple[Model, Split, int]:
    """Load data and model as the run did, and the batch size of its accuracy pass."""
    from mlcvbench.loading.data import batch_size, load_data
    from mlcvbench.loading.models import build_model
    from mlcvbench.loading.resolved import resolve

    resolved = resolve(config)
    data = load_data(resolved)
    model = build_model(resolved, data.problem, None if weights is None else Path(weights))
    split = data.splits["test"]
    return model, split, batch_size(config, split, takes_lists=resolved.spec.ragged)


def predict_for_memory(model: Model, split: Split, size: int) -> dict[str, Any]:
    """Predict the first few batches and return the high-water marks in bytes, null where unknown."""
    for number, batch in enumerate(split.inputs(size)):
        if number == PREDICTED_BATCHES:
            break
        model.predict(batch)
    answer: dict[str, Any] = {"host_high_water": high_water()}
    if model.device.type == "cuda":
        import torch

        from mlcvbench.measure.gpu import open_gpu

        torch.cuda.synchronize()
        gpu = open_gpu(model.device.index)
        answer |= {
            "device_peak_allocated": torch.cuda.max_memory_allocated(),
            "device_peak_reserved": torch.cuda.max_memory_reserved(),
            "device_process": gpu.processes().get(os.getpid()) if gpu else None,
        }
    return answer


def time_once(model: Model, split: Split, profile: dict[str, Any]) -> dict[str, Any]:
    """Time the model once and return the samples as lists of integer nanoseconds."""
    from mlcvbench.measure.timing.latency import rotation
    from mlcvbench.measure.timing.one_process import Profile, time_process

    times = time_process(model, rotation(split), Profile(**profile))
    return {
        "samples": {name: values.tolist() for name, values in times.samples.items()},
        "converged": times.converged,
        "warm_up": [times.warm_up.calls, times.warm_up.seconds, times.warm_up.settled],
        "clocks": times.clocks,
        "dropped": times.dropped,
        "host_bound": times.host_bound,
        "gpu": times.gpu,
    }


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent ends, so that no probe outlives its run."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def reset_high_water() -> bool:
    """Start the kernel's high-water mark anew so that imports do not count; False where the kernel refuses."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def high_water() -> int | None:
    """Return VmHWM of this process in bytes, None where the kernel does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
