"""First weights of heads and backbones."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def prior_bias(probability: float) -> float:
    """Return the logit -ln((1 - p) / p), at which a class is as rare at the start as objects are among anchors.

    0.01 is -ln 99 in RetinaNet (Lin et al. 2017, section 4.1), 0.1 is -2.19 in CenterNet. Without it the loss of the
    many background anchors would drown the rest in the first steps.
    """
    return -math.log((1 - probability) / probability)


def set_prior(outputs: nn.Conv2d, probability: float = 0.01) -> None:
    """Set the biases of the convolution that gives the logits of classes to `prior_bias`."""
    from torch import nn

    assert outputs.bias is not None
    nn.init.constant_(outputs.bias, prior_bias(probability))


def head_initialised(head: nn.Module) -> nn.Module:
    """Draw the convolutions of a head from N(0, 0.01^2), as RetinaNet and FCOS do, biases 0; return the head."""
    from torch import nn

    for part in head.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.normal_(part.weight, std=0.01)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    return head


def he_initialised(network: nn.Module) -> nn.Module:
    """Draw convolutions for ReLU (He et al. 2015, fan out, as ResNet's are), biases 0; return the network."""
    from torch import nn

    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    return network
