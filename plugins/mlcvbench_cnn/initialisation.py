"""First weights of networks without batch norm."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def he_initialised(module: nn.Module) -> nn.Module:
    """Draw weights of convolutions and linear layers for ReLU (He et al. 2015, fan in), biases 0; return the module."""
    from torch import nn

    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    return module
