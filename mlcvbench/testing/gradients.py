"""Backpropagation against central differences: (f(theta + h v) - f(theta - h v)) / 2h must equal the gradient along
v.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any

from mlcvbench.contract import Batch, TorchModel
from mlcvbench.contract.batch import take
from mlcvbench.contract.torch_model import map_leaves
from mlcvbench.errors import said_by
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

    f is a random weighting of all outputs that are floats, for one sample of noise. Weights are perturbed slightly at
    random, since at a kink, such as a ReLU at exactly 0, there is no derivative. Casts to float32 inside the network
    are left out: they would round the differences away.
    """
    import torch

    if model.CHOOSES:
        detail = "not made: the network looks closer at what it chose, and no gradient goes there."
        return CheckResult(NAME, None, detail)
    parameters = sum(parameter.numel() for parameter in model.module.parameters())
    if not 0 < parameters <= MOST_PARAMETERS:
        return CheckResult(NAME, None, f"not made: it is for networks of 1 to {MOST_PARAMETERS:,} parameters.")
    draw = torch.Generator().manual_seed(0)
    network = deepcopy(model.module).cpu().double().eval().requires_grad_(True)
    noise = map_leaves(partial(_noise, draw=draw), model.preprocess(_first_of(batch)))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(_normal(parameter, draw), alpha=0.01)
    try:
        outputs = _outputs(partial(model.pass_through, network), noise)
    except Exception as error:  # noqa: BLE001 - forward() may call the network otherwise, and anything may be raised
        return CheckResult(NAME, None, f"not made: the network takes no such inputs in float64 ({said_by(error)}).")
    if not outputs.requires_grad:
        return CheckResult(NAME, None, "not made: no output of the network is a float that depends on its parameters.")
    worst, place = _worst(network, partial(model.pass_through, network), noise, draw)
    if worst > TOLERANCE:
        what = f"the gradient of {place!r} differs from central differences by {worst:.2g} of its size"
        return CheckResult(NAME, passed=False, detail=f"{what}; the most is {TOLERANCE:g}.")
    return CheckResult(NAME, passed=True, detail=f"backpropagation is within {worst:.1g} of central differences.")


def _worst(network: nn.Module, call: Callable[[Any], Any], noise: Any, draw: torch.Generator) -> tuple[float, str]:
    """Return the largest difference over the parameters, relative to the gradient, and the parameter's name."""
    import torch

    outputs = _outputs(call, noise)
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
                    ends.append(float((_outputs(call, noise) * weights).sum()))
                    parameter.sub_(direction, alpha=side)
                difference = abs((ends[0] - ends[1]) / (2 * step) - slope)
                off = min(off, difference / max(length, ROUNDING * size / step / TOLERANCE, 1e-30))
                if off <= TOLERANCE:
                    break
            found.append((off, name))
    return max(found)


def _outputs(call: Callable[[Any], Any], inputs: Any) -> torch.Tensor:
    """Return all outputs of a network that are floats, in one row, computed in float64 throughout."""
    import torch
    from torch.overrides import TorchFunctionMode

    class WithoutCasts(TorchFunctionMode):
        """Takes float64 wherever the network asks for float32."""

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.Tensor.float:
                return args[0].double()
            wide = map_leaves(lambda value: torch.float64 if value is torch.float32 else value, [args, kwargs or {}])
            return func(*wide[0], **wide[1])

    found: list[torch.Tensor] = []

    def keep(value: Any) -> None:
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            found.append(value.double().flatten())

    with WithoutCasts():
        map_leaves(keep, call(inputs))
    return torch.cat(found) if found else torch.zeros(0)


def _first_of(batch: Batch) -> Batch:
    """Return the first sample of a batch, as a batch of one."""
    first = slice(0, 1)
    inputs = {kind: take(column, first) for kind, column in batch.inputs.items()}
    return Batch(batch.ids[first], inputs, {name: take(column, first) for name, column in batch.meta.items()})


def _noise(value: Any, draw: torch.Generator) -> Any:
    """Return noise in [0, 1] in place of a tensor of floats; anything else as it is."""
    import torch

    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return torch.rand(value.shape, generator=draw, dtype=torch.float64)
    return value


def _normal(like: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    import torch

    return torch.randn(like.shape, generator=draw, dtype=like.dtype)
