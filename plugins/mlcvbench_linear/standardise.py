"""Standardisation with training statistics, foldable into the linear layer behind it. Imports torch: load it lazily."""

from __future__ import annotations

import torch
from torch import nn

from mlcvbench_training.loop import Examples, scaled

CONSTANT = 1e-6
"""A pixel that deviates less than this (in [0, 1] units) is constant: it is centred and not scaled."""


class Standardise(nn.Module):
    """Map x (B, D) to (x - mean) / deviation with statistics of the training set, float32 (D,)."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, examples: Examples) -> None:
        super().__init__()
        pixels = scaled(examples.images).flatten(1)  # (N, D)
        deviation, mean = torch.std_mean(pixels, dim=0, correction=0)
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", torch.where(deviation < CONSTANT, 1.0, deviation))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return (inputs - self.mean) / self.deviation

    def fold_into(self, linear: nn.Linear) -> None:
        """Change W and b so that `linear` of raw pixels equals what it was of standardised ones."""
        with torch.no_grad():
            linear.weight.div_(self.deviation)
            linear.bias.sub_(linear.weight @ self.mean.to(linear.weight.dtype))
