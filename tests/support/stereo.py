"""What tests of stereo share: models by name with their declared defaults, costs of networks, and scores."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from mlcvbench.contract import Device, InputSpec, LoadedData, Problem
from mlcvbench.running.scoring import tabulate
from mlcvbench.specs import load_target
from mlcvbench_depth.task import DepthTask
from mlcvbench_networks.bases.stereo_network import StereoNetwork
from mlcvbench_stereo import mlcvbench_models

SPECS = {spec.name: spec for spec in mlcvbench_models()}


def matcher_of(name: str, problem: Problem, **params: Any) -> Any:
    """Return a method of the family with its declared defaults, changed by `params`."""
    spec = SPECS[name]
    return load_target(spec.target)(problem, **{param.name: param.default for param in spec.params} | params)


def problem_of(disparities: int = 16, channels: int = 3) -> Problem:
    view = InputSpec((None, None, channels) if channels > 1 else (None, None))
    return Problem(
        "depth", (), {"left": view, "right": view}, {"field": "disparity", "disparities": disparities, "trained": True}
    )


def network_of(name: str, told: int = 16, /, **params: Any) -> StereoNetwork:
    """Return a network of the family for data that tell this search range."""
    model = matcher_of(name, problem_of(told), **params)
    assert isinstance(model, StereoNetwork)
    return model


def costs_of(model: StereoNetwork, height: int, width: int) -> tuple[int, dict[str, float]]:
    """Return the parameters, and the multiply-adds of one pair by kind of operation; nothing is computed."""
    network = model.build().eval().to("meta")
    views = (torch.zeros(1, model.channels, height, width, device="meta"),) * 2
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.pass_through(network, views)
    counts = counter.get_flop_counts()["Global"]
    return sum(part.numel() for part in network.parameters()), {str(name): n / 2 for name, n in counts.items()}


def score_of(model: Any, data: LoadedData, protocol: str = "stereo/all@1") -> Any:
    """Return what a protocol says of a model on the test split."""
    model.to(Device(threads=1))
    task, test = DepthTask(), data.splits["test"]
    batch = next(test.inputs(1))
    scorer = task.scorer(protocol, data.problem)
    predictions = task.check(model.predict(batch), batch.ids, data.problem)
    return scorer.summarise(tabulate(scorer, predictions, test.targets(), 1))
