"""Backpropagation against central differences: (f(theta + h v) - f(theta - h v)) / 2h must equal the gradient along
v.
"""

from __future__ import annotations

import math
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from mlcvbench.contract import Batch, TorchModel
from mlcvbench.testing.results import CheckResult

if TYPE_CHECKING:
    import torch
    from torch import nn

NAME = "gradients"
STEPS = (1e-6, 1e-7, 1e-8)
"""h, in float64. A kink between the two ends spoils a difference, the less often the closer they are."""
TOLERANCE = 1e-4
ROUNDING = 1e-15
"""Relative to the size of f."""
MOST_PARAMETERS = 20_000_000


def check_gradients(model: TorchModel, batch: Batch) -> CheckResult:
    """Compare the gradient of every parameter of the network, in evaluation mode, along one random direction each.

    f is a random weighting of the outputs for one noise image. Weights are perturbed slightly at random, since at a
    kink, such as a ReLU at exactly 0, there is no derivative.
    """
    import torch

    inputs: object = model.preprocess(batch)
    parameters = sum(parameter.numel() for parameter in model.module.parameters())
    if not isinstance(inputs, torch.Tensor) or not inputs.is_floating_point() or not 0 < parameters <= MOST_PARAMETERS:
        limits = f"between 1 and {MOST_PARAMETERS:,} parameters"
        return CheckResult(NAME, None, f"not made: it is for networks of one tensor of floats and {limits}.")
    draw = torch.Generator().manual_seed(0)
    network = deepcopy(model.module).cpu().double().eval().requires_grad_(True)
    noise = torch.rand(inputs[:1].shape, generator=draw, dtype=torch.float64)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(_normal(parameter, draw), alpha=0.01)
        try:
            network(noise)
        except RuntimeError as error:
            return CheckResult(NAME, None, f"not made: the network does not compute in float64 ({error}).")
    worst, place = _worst(network, noise, draw)
    if worst > TOLERANCE:
        what = f"the gradient of {place!r} differs from central differences by {worst:.2g} of its size"
        return CheckResult(NAME, passed=False, detail=f"{what}; the most is {TOLERANCE:g}.")
    return CheckResult(NAME, passed=True, detail=f"backpropagation is within {worst:.1g} of central differences.")


def _worst(network: nn.Module, noise: torch.Tensor, draw: torch.Generator) -> tuple[float, str]:
    """Return the largest difference over the parameters, relative to the gradient, and the parameter's name."""
    import torch

    outputs = _flat(network(noise))
    weights = torch.randn(outputs.shape, generator=draw, dtype=torch.float64)
    names, parameters = zip(*network.named_parameters(), strict=True)
    gradients = torch.autograd.grad((outputs * weights).sum(), parameters, allow_unused=True)
    size = float((outputs * weights).detach().abs().sum())
    found = []
    with torch.no_grad():
        for name, parameter, known in zip(names, parameters, gradients, strict=True):
            gradient = torch.zeros_like(parameter) if known is None else known
            length = float(gradient.norm())
            direction = _normal(parameter, draw)
            direction = direction / direction.norm() + (gradient / length if length else 0.0)
            slope = float((gradient * direction).sum())
            off = math.inf
            for step in STEPS:
                ends = []
                for side in (step, -step):
                    parameter.add_(direction, alpha=side)
                    ends.append(float((_flat(network(noise)) * weights).sum()))
                    parameter.sub_(direction, alpha=side)
                difference = abs((ends[0] - ends[1]) / (2 * step) - slope)
                off = min(off, difference / max(length, ROUNDING * size / step / TOLERANCE, 1e-30))
                if off <= TOLERANCE:
                    break
            found.append((off, name))
    return max(found)


def _flat(outputs: Any) -> torch.Tensor:
    """Return all outputs of a network, concatenated."""
    import torch

    if isinstance(outputs, torch.Tensor):
        return outputs.flatten()
    parts = outputs.values() if isinstance(outputs, dict) else outputs
    return torch.cat([_flat(part) for part in parts])


def _normal(like: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    import torch

    return torch.randn(like.shape, generator=draw, dtype=like.dtype)
