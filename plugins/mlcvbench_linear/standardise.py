"""Standardisation with training statistics, foldable into the linear layer behind it. Imports torch: load it lazily."""

from __future__ import annotations

import torch
from torch import nn

CONSTANT = 1e-6
"""An input that deviates less than this (pixels are in [0, 1]) is constant: it is centred and not scaled."""


class Standardise(nn.Module):
    """Map x (B, D) to (x - mean) / deviation with statistics of the training set, float32 (D,); to x where not `on`."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, inputs: torch.Tensor, *, on: bool = True) -> None:
        super().__init__()
        deviation, mean = torch.std_mean(inputs, dim=0, correction=0)  # of (N, D)
        if not on:
            deviation, mean = torch.ones_like(deviation), torch.zeros_like(mean)
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", torch.where(deviation < CONSTANT, 1.0, deviation))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return (inputs - self.mean) / self.deviation

    def fold_into(self, linear: nn.Linear) -> None:
        """Change W and b so that `linear` of raw inputs equals what it was of standardised ones."""
        with torch.no_grad():
            linear.weight.div_(self.deviation)
            linear.bias.sub_(linear.weight @ self.mean.to(linear.weight.dtype))
