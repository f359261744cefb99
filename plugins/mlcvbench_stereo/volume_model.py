"""Networks that score every disparity of a range in a volume and take the mean under softmax of the scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from mlcvbench.contract import Problem
from mlcvbench_networks.arithmetic import mean_over
from mlcvbench_networks.bases.network_model import Losses
from mlcvbench_networks.bases.stereo_network import StereoNetwork

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network
    from mlcvbench_training.samples import SampleBatch


class VolumeModel(StereoNetwork):
    """A network that returns disparities (B, 1, H, W) of one or several volumes, the last of which is the answer.

    `disparities`: the search range; unset, the data set's. It changes no weight, so that weights fitted for one range
    can look through another. It is rounded up to a multiple of `STEP`, which the halvings of the volume need.
    """

    STEP: ClassVar[int] = 16
    WEIGHTS: ClassVar[Sequence[float]] = (1.0,)
    """Of the losses of the volumes."""
    SMOOTH: ClassVar[bool] = False
    """Whether the loss is the smooth L1 distance, not L1."""

    def __init__(self, problem: Problem, disparities: int | None = None, **params: Any) -> None:
        super().__init__(problem, disparities=disparities, **params)
        self.disparities = disparities

    @property
    def levels(self) -> int:
        return -(-(self.disparities or super().levels) // self.STEP) * self.STEP

    def pass_through(self, module: nn.Module, inputs: Any) -> torch.Tensor:
        last: torch.Tensor = module(*inputs)[-1]
        return last

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        """Return the weighted distances over pixels whose disparity is known and inside the range."""
        truth = batch.maps["disparity"][:, None]
        known = (truth > 0) & (truth < self.levels)  # a mean of 0 .. D - 1 cannot reach what is beyond
        distance = functional.smooth_l1_loss if self.SMOOTH else functional.l1_loss
        found = network(*(batch.inputs[name] for name in self.INPUTS))
        errors = [mean_over(distance(one, truth, reduction="none"), known) for one in found]
        weights = self.WEIGHTS[-len(errors) :]
        total = torch.stack([weight * error for weight, error in zip(weights, errors, strict=True)]).sum()
        return {"loss": total, "last": errors[-1]} if len(errors) > 1 else errors[0]


def normed(convolution: nn.Conv2d | nn.Conv3d | nn.ConvTranspose3d) -> nn.Sequential:
    """Return a convolution and a batch norm of its dimensions."""
    flat = isinstance(convolution, nn.Conv2d)
    norm = nn.BatchNorm2d(convolution.out_channels) if flat else nn.BatchNorm3d(convolution.out_channels)
    return nn.Sequential(convolution, norm)


def plane(inside: int, outside: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Return a 2-D convolution without bias that keeps or divides the size, and a norm."""
    reach = dilation * (kernel // 2)
    return normed(nn.Conv2d(inside, outside, kernel, stride, reach, dilation, bias=False))


def solid(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    """Return a 3-D convolution 3x3x3 without bias that keeps or halves the size, and a norm."""
    return normed(nn.Conv3d(inside, outside, 3, stride, 1, bias=False))


def doubled(inside: int, outside: int) -> nn.Sequential:
    """Return a transposed 3-D convolution 3x3x3 without bias that doubles the size, and a norm."""
    return normed(nn.ConvTranspose3d(inside, outside, 3, 2, 1, output_padding=1, bias=False))


def relu(*parts: nn.Module) -> nn.Sequential:
    """Return modules one after the other and a ReLU."""
    return nn.Sequential(*parts, nn.ReLU(inplace=True))


def he_drawn(network: nn.Module) -> nn.Module:
    """Draw all convolutions for ReLU, biases 0; return the network."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.Conv3d | nn.ConvTranspose3d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    return network
