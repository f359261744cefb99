"""What tests of monocular networks share: models by name, toy data to fit them to, and counts of their networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from support.fitting import context
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mlcvbench.contract import InputSpec, LoadedData, Problem
from mlcvbench.specs import load_target
from mlcvbench.testing.toy import toy_data
from mlcvbench_monodepth import mlcvbench_models
from mlcvbench_networks.bases.depth_network import DepthNetwork

SPECS = {spec.name: spec for spec in mlcvbench_models()}
PAIRS, SEQUENCES = "training on pairs without depth", "training on sequences without depth"
LEARNS_FROM = {"eigen": "toy", "depth_encoder_decoder": "toy", "monodepth": PAIRS, "monodepth2": SEQUENCES}
SMALL: dict[str, dict[str, Any]] = {
    "eigen": {"width": 6, "hidden": 16, "size": [64, 96]},
    **{name: {"widths": [4, 4, 8, 8, 8]} for name in ("depth_encoder_decoder", "monodepth", "monodepth2")},
}
"""Settings of networks that are small in tests."""


def problem(channels: int = 3) -> Problem:
    return Problem("depth", (), {"image": InputSpec((None, None, channels))}, {"field": "depth"})


def model_of(name: str, **params: Any) -> Any:
    """Return a model of the family with its declared defaults, changed by `params`."""
    declared = {param.name: param.default for param in SPECS[name].params}
    return load_target(SPECS[name].target)(problem(), **declared | params)


def toy_of(name: str) -> LoadedData:
    """Return the toy data that a method learns from."""
    return toy_data("depth")[LEARNS_FROM[name]]


def fitted(model: DepthNetwork, data: LoadedData, **settings: Any) -> Any:
    """Fit a model to toy data and return its report."""
    return model.fit(data.splits["train"], None, context(**settings))


def depths(model: DepthNetwork, data: LoadedData) -> list[np.ndarray]:
    return list(model.predict(next(data.splits["test"].inputs(6)))["depth"])


def parameters(*parts: nn.Module) -> int:
    return sum(one.numel() for part in parts for one in part.parameters())


def multiply_adds(network: nn.Module, height: int, width: int) -> float:
    """Return those of a network for one image in evaluation; nothing is computed."""
    network = network.eval().to("meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, height, width, device="meta"))
    return counter.get_total_flops() / 2
