"""Widths, sizes and first weights of the networks of this family."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlcvbench_cnn.settings import NORMED_FIT
from mlcvbench_training.classifier import NetworkClassifier
from mlcvbench_training.settings import Settings

if TYPE_CHECKING:
    from torch import nn


class ConvolutionalClassifier(NetworkClassifier):
    """A network of this family; those with batch norm are trained alike by default."""

    FIT: ClassVar[Settings] = NORMED_FIT


def scaled_width(channels: int, width: float) -> int:
    """Return a number of channels times `width`, a multiple of 8 where it was one, at least 4.

    >>> scaled_width(64, 0.25), scaled_width(96, 0.3), scaled_width(6, 1.0)
    (16, 32, 6)
    """
    if width == 1.0:
        return channels
    return max(4, round(channels * width / 8) * 8)


def flat_features(features: nn.Module, channels: int, side: int) -> int:
    """Return how many numbers `features` gives for one image of (channels, side, side)."""
    import torch

    was_training = features.training
    features.eval()
    with torch.no_grad():
        shape = features(torch.zeros(1, channels, side, side)).shape
    features.train(was_training)
    return int(shape[1:].numel())


def he_initialised(module: nn.Module) -> nn.Module:
    """Draw weights of convolutions and linear layers for ReLU (He et al. 2015, fan in), biases 0; return the module."""
    from torch import nn

    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    return module
