"""Update rules and learning-rate schedules, by name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mlcvbench_training.settings import Settings

WARM_UP = 0.3
START, END = 1 / 25, 1e-4 / 25
MOMENTUM = 0.9


def build_optimizer(module: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """Return the optimizer of `settings`. Biases and norm parameters (vectors) are not decayed.

    `sgd`: theta -= lr g. `momentum`: v = 0.9 v + g, theta -= lr v. In both and in `adam`, decay is an L2 penalty
    (g += lambda theta); in `adamw` it is decoupled: theta -= lr lambda theta.
    """
    import torch

    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if settings.optimizer in {"sgd", "momentum"}:
        return torch.optim.SGD(groups, lr=settings.lr, momentum=MOMENTUM if settings.optimizer == "momentum" else 0.0)
    rule = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    return rule(groups, lr=settings.lr)


def rate_factor(schedule: str, step: int, steps: int) -> float:
    """Return the share of the largest learning rate at `step` of `steps`, 0-based.

    `constant`: 1. `cosine`: half a cosine from 1 towards 0. `one_cycle` (Smith and Topin, 2018): half a cosine from
    1/25 up to 1 over the first 30 % of the steps, then half a cosine down to 1/250,000; as torch's OneCycleLR.

    >>> rate_factor("cosine", 5, 10)
    0.5
    >>> [round(rate_factor("one_cycle", step, 11), 3) for step in (0, 2, 10)]
    [0.04, 0.96, 0.0]
    """
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        return _half_cosine(1.0, 0.0, step / steps)
    peak = WARM_UP * steps - 1  # as in torch, where a run of three steps or fewer has no way up
    if step <= peak:
        return _half_cosine(START, 1.0, step / peak if peak else 1.0)
    return _half_cosine(1.0, END, (step - max(peak, 0.0)) / (steps - 1 - max(peak, 0.0))) if steps > 1 else 1.0


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
