"""What tests of segmenters share: models by name, what they cost, images whose classes are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mlcvbench.contract import InputSpec, Problem
from mlcvbench.specs import ModelSpec, load_target
from mlcvbench_fcn import mlcvbench_models
from mlcvbench_networks.bases.segmenter import Segmenter
from mlcvbench_training.sample_batch import SampleBatch

SPECS = {spec.name: spec for spec in mlcvbench_models()}


def problem(classes: int | tuple[str, ...] = 3, channels: int = 3) -> Problem:
    names = tuple(f"class {place}" for place in range(classes)) if isinstance(classes, int) else classes
    shape = (None, None) if channels == 1 else (None, None, channels)
    return Problem("segmentation", names, {"image": InputSpec(shape)})


def model_of(
    name: str,
    classes: int | tuple[str, ...] = 3,
    specs: Mapping[str, ModelSpec] = SPECS,
    channels: int = 3,
    **params: Any,
) -> Segmenter:
    """Return a segmenter of the family with its declared defaults, changed by `params`."""
    declared = {param.name: param.default for param in specs[name].params}
    model = load_target(specs[name].target)(problem(classes, channels), **declared | params)
    assert isinstance(model, Segmenter)
    return model


def parameters(model: Segmenter) -> int:
    with torch.device("meta"):
        network = model.network()
    return sum(part.numel() for part in network.parameters())


def multiply_adds(network: nn.Module, side: int, channels: int = 3) -> int:
    """Return those of a network for one image of so many pixels a side; nothing is computed."""
    network = network.eval().to("meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, channels, side, side, device="meta"))
    flops = counter.get_total_flops()
    assert flops % 2 == 0
    return int(flops // 2)


def striped(count: int = 2, side: int = 64, classes: int = 3, unknown: int | None = None) -> SampleBatch:
    """Return images of vertical stripes whose grey says their class; the first row of `unknown` rows nobody knows."""
    labels = (torch.arange(side) * classes // side).expand(count, side, side).clone()
    images = (labels / classes)[:, None].expand(-1, 3, -1, -1).contiguous()
    if unknown is not None:
        labels[:, :unknown] = 255
    return SampleBatch({"image": images}, {"label_map": labels})
