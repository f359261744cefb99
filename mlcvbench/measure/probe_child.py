"""The child process of a measurement, `-m mlcvbench.measure.probe_child`: it rebuilds a run's model and measures it.

It sends `ready` when model and data are loaded, waits for a line on its input, and sends `done` with its answer.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from mlcvbench.contract import Model, Split
from mlcvbench.plan.config import RunConfig
from mlcvbench.processes.channel import Sender
from mlcvbench.processes.child_setup import serve
from mlcvbench.processes.usage import high_water, reset_high_water

PREDICTED_BATCHES = 4
"""Batches that the memory pass predicts."""


def measure(request: dict[str, Any], channel: Sender) -> None:
    """Carry out a request."""
    config = RunConfig.from_dict(request["config"])
    model, split, size = _rebuild(config, request["weights"])
    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "memory": lambda: predict_for_memory(model, split, size),
        "latency": lambda: time_once(model, split, request["profile"]),
    }
    fresh_mark = request["mode"] == "memory" and reset_high_water()
    channel.send({"said": "ready"})
    if sys.stdin.readline().strip() == "go":
        channel.send({"said": "done", **measures[request["mode"]](), "fresh_mark": fresh_mark})


def _rebuild(config: RunConfig, weights: str | None) -> tuple[Model, Split, int]:
    """Load data and model as the run did, and the batch size of its accuracy pass."""
    from mlcvbench.loading.data import load_data
    from mlcvbench.loading.models import build_model
    from mlcvbench.loading.resolved import resolve
    from mlcvbench.plan.given_weights import given_weights

    resolved = resolve(config)
    data = load_data(resolved, config.splits)
    model = build_model(resolved, data.problem, None if weights is None else given_weights(weights))
    split = data.splits["test"]
    return model, split, split.batch_size(config.batch_size, takes_lists=resolved.spec.ragged)


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


if __name__ == "__main__":
    serve(measure)
