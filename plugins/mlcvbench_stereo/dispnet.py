"""DispNet (Mayer et al. 2016, "A Large Dataset to Train Convolutional Networks for Disparity, Optical Flow and Scene
Flow Estimation", section 5 and table 2): an encoder, and a decoder that predicts disparity at six sizes.

`dispnet_s` sees both images stacked; `dispnet_c` describes each by itself and compares them along the row at a quarter
of the size. As published: `model.width=64`, and `model.displacement=40` for the latter; 42,322,374 and 42,174,022
parameters, 30.73 and 33.97 G multiply-adds for 384x768 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from mlcvbench.contract import Problem
from mlcvbench_networks.arithmetic import mean_over
from mlcvbench_networks.bases.dense_model import enlarged
from mlcvbench_networks.bases.network_model import Losses
from mlcvbench_networks.bases.stereo_network import StereoNetwork
from mlcvbench_networks.dense.upsampling import bilinear
from mlcvbench_networks.stereo.volumes import correlation

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network
    from mlcvbench_training.samples import SampleBatch

SIZES = 6
"""Of the predictions: 1/64 of the sides, 1/32 .. 1/2."""
LEAK = 0.1


class DispNet(StereoNetwork):
    """What both networks share: predictions in pixels of the images, and losses from coarse to fine.

    `ramp`: steps of training after which the next finer prediction is the one that is learned; on the way between two,
    both are, with weights that cross over (section 6).
    """

    MULTIPLE = 64

    def __init__(self, problem: Problem, width: int = 16, ramp: int = 40, **params: Any) -> None:
        super().__init__(problem, width=width, ramp=ramp, **params)
        self.width, self.ramp = width, ramp

    def beside_of(self, samples: Any) -> nn.Module:
        return Steps()

    def pass_through(self, module: nn.Module, inputs: Any) -> torch.Tensor:
        finest: torch.Tensor = module(*inputs)[-1]
        return finest

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        truth = batch.maps["disparity"][:, None]
        errors = [
            mean_over((enlarged(found, batch.frame) - truth).abs(), truth > 0)
            for found in network(*(batch.inputs[name] for name in self.INPUTS))
        ]
        step = self.beside.next() if isinstance(self.beside, Steps) else self.ramp * SIZES
        weighted = [weight * error for weight, error in zip(self.weights(step), errors, strict=True) if weight]
        return {"loss": torch.stack(weighted).sum(), "l1": errors[-1]}

    def weights(self, step: int) -> list[float]:
        """Return the weights of the losses in a step, the coarsest first: they sum to 1."""
        place = min(step / self.ramp, SIZES - 1)
        return [max(0.0, 1 - abs(place - size)) for size in range(SIZES)]


class DispNetS(DispNet):
    """The simple one: both images are stacked, and the network finds out by itself that it should compare them."""

    def network(self) -> nn.Module:
        return DispNetwork(Stacked(self.channels, self.width), self.width)


class DispNetC(DispNet):
    """With a correlation layer, whose largest displacement is in its own pixels, quarters of the image's."""

    def __init__(self, problem: Problem, width: int = 16, ramp: int = 40, displacement: int | None = None) -> None:
        super().__init__(problem, width, ramp, displacement=displacement)
        self.displacement = displacement

    def network(self) -> nn.Module:
        reach = self.displacement or -(-self.levels // 4)
        return DispNetwork(Correlated(self.channels, self.width, reach), self.width)


class Steps(nn.Module):
    """The steps that a training has made: a part of its state, so that it goes on where it was interrupted."""

    made: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("made", torch.zeros((), dtype=torch.int64))

    def next(self) -> int:
        """Return how many steps came before this one."""
        before = int(self.made)
        self.made += 1
        return before


class Stacked(nn.Module):
    """The first layers on both images stacked: maps of 1/2, 1/4 and 1/8."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = convolution(2 * channels, width, 7, 2)
        self.conv2 = convolution(width, 2 * width, 5, 2)
        self.conv3a = convolution(2 * width, 4 * width, 5, 2)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        half = self.conv1(torch.cat([left, right], 1))
        quarter = self.conv2(half)
        return half, quarter, self.conv3a(quarter)


class Correlated(nn.Module):
    """The first layers on each image by itself, with the same weights; then their correlation beside the left one's."""

    def __init__(self, channels: int, width: int, displacement: int) -> None:
        super().__init__()
        self.levels = displacement + 1
        self.conv1 = convolution(channels, width, 7, 2)
        self.conv2 = convolution(width, 2 * width, 5, 2)
        self.redirect = convolution(2 * width, width, 1)
        self.conv3a = convolution(self.levels + width, 4 * width, 5, 2)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        half = self.conv1(torch.cat([left, right]))
        quarter = self.conv2(half)
        (own, other), half = quarter.chunk(2), half[: len(left)]
        compared = functional.leaky_relu(correlation(own, other, self.levels), LEAK)
        return half, own, self.conv3a(torch.cat([compared, self.redirect(own)], 1))


class DispNetwork(nn.Module):
    """The first layers, the rest of the encoder, and a decoder (table 2 of the paper, "DispNet").

    `forward` returns disparities (B, 1, h, w) in pixels of the images, of 1/64 to 1/2 of their size. Inside, a map's
    disparities are in its own pixels, so that they double whenever the map does.
    """

    def __init__(self, first: nn.Module, width: int) -> None:
        super().__init__()
        self.first = first
        wide = [4 * width, 8 * width, 8 * width, 16 * width]  # at 1/8, 1/16, 1/32, 1/64
        self.conv3b = convolution(wide[0], wide[0], 3)
        self.down = nn.ModuleList(
            nn.Sequential(convolution(before, after, 3, 2), convolution(after, after, 3))
            for before, after in pairwise(wide)
        )
        channels = [16 * width, 8 * width, 4 * width, 2 * width, width, width // 2]
        beside = [8 * width, 8 * width, 4 * width, 2 * width, width]  # conv5b, conv4b, conv3b, conv2, conv1
        steps = list(zip(channels, channels[1:], beside, strict=False))
        self.up = nn.ModuleList(doubling(before, after) for before, after, _ in steps)
        self.join = nn.ModuleList(nn.Conv2d(after + 1 + skip, after, 3, padding=1) for _, after, skip in steps)
        self.predict = nn.ModuleList(nn.Conv2d(count, 1, 3, padding=1) for count in channels)
        for part in self.modules():
            if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(part.weight, a=LEAK)
                assert part.bias is not None
                nn.init.zeros_(part.bias)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> list[torch.Tensor]:
        half, quarter, eighth = self.first(2 * left - 1, 2 * right - 1)
        maps = [half, quarter, self.conv3b(eighth)]
        for down in self.down:
            maps.append(down(maps[-1]))
        map_ = maps.pop()
        found = [self.predict[0](map_)]
        for up, join, predict in zip(self.up, self.join, self.predict[1:], strict=True):
            skip = maps.pop()
            wider = 2 * bilinear(found[-1], (skip.shape[2], skip.shape[3]))
            map_ = join(torch.cat([up(map_), wider.to(skip), skip], 1))
            found.append(predict(map_))
        return in_pixels(found)


def in_pixels(found: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return disparities in pixels of the image from those in pixels of maps of 1/64, 1/32 .. 1/2 of its size."""
    return [one.float() * 2 ** (SIZES - place) for place, one in enumerate(found)]


def convolution(inside: int, outside: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution with bias that keeps or divides the size, and a leaky ReLU."""
    return nn.Sequential(nn.Conv2d(inside, outside, kernel, stride, kernel // 2), nn.LeakyReLU(LEAK, inplace=True))


def doubling(inside: int, outside: int) -> nn.Sequential:
    """Return a transposed convolution with bias that doubles the size, and a leaky ReLU."""
    return nn.Sequential(nn.ConvTranspose2d(inside, outside, 4, 2, 1), nn.LeakyReLU(LEAK, inplace=True))
