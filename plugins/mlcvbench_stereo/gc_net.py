"""GC-Net (Kendall et al. 2017, "End-to-End Learning of Geometry and Context for Deep Stereo Regression", table 1).

Features of half the size, a volume of all their pairs along the row, an encoder and decoder in three dimensions, and
the soft argmin (equation 1). As published: `model.width=32`, 192 disparities, 2,845,409 parameters (the paper says
3.5 M, which its table does not give); 112.9 G multiply-adds for 128x256 pixels.
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from mlcvbench.contract import Problem
from mlcvbench_networks.stereo.volumes import concatenation, soft_argmin
from mlcvbench_stereo.volume_model import VolumeModel, doubled, he_drawn, plane, relu, solid

BLOCKS = 8


class GCNet(VolumeModel):
    """The volume is halved five times from full size, so that the range and the sides are multiples of 32."""

    STEP: ClassVar[int] = 32
    MULTIPLE = 32

    def __init__(self, problem: Problem, width: int = 8, disparities: int | None = None) -> None:
        super().__init__(problem, disparities, width=width)
        self.width = width

    def network(self) -> nn.Module:
        return GCNetwork(self.channels, self.width, self.levels)


class GCNetwork(nn.Module):
    """`forward` returns a list of the disparities (B, 1, H, W). Numbers of layers are the paper's."""

    def __init__(self, channels: int, width: int, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.features = nn.Sequential(
            relu(plane(channels, width, 5, 2)),  # 1
            *(Residual(width) for _ in range(BLOCKS)),  # 2 to 17
            nn.Conv2d(width, width, 3, padding=1),  # 18, without norm and ReLU
        )
        self.full = nn.Sequential(relu(solid(2 * width, width)), relu(solid(width, width)))  # 19, 20
        wide = [2 * width, 2 * width, 2 * width, 2 * width, 4 * width]
        self.down = nn.ModuleList(
            relu(solid(before, after, 2)) for before, after in pairwise(wide)
        )  # 21, 24, 27, 30; each from the one before it, the first from the volume
        self.refine = nn.ModuleList(
            nn.Sequential(relu(solid(count, count)), relu(solid(count, count))) for count in wide[1:]
        )  # 22 and 23, 25 and 26, 28 and 29, 31 and 32
        back = [4 * width, 2 * width, 2 * width, 2 * width, width]
        self.up = nn.ModuleList(doubled(before, after) for before, after in pairwise(back))  # 33 to 36
        self.last = nn.ConvTranspose3d(width, 1, 3, 2, 1, output_padding=1)  # 37
        he_drawn(self)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> list[torch.Tensor]:
        both = self.features(torch.cat([2 * left - 1, 2 * right - 1]))
        own, other = both.chunk(2)
        volume = concatenation(own, other, self.levels // 2)  # (B, 2F, D/2, H/2, W/2)
        skips, down = [self.full(volume)], volume
        for halve, refine in zip(self.down, self.refine, strict=True):
            down = halve(down)
            skips.append(refine(down))
        up = skips.pop()
        for double in self.up:
            up = functional.relu(double(up) + skips.pop())
        return [soft_argmin(self.last(up)[:, 0])]


class Residual(nn.Module):
    """Two convolutions whose result is added to what they were given."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(relu(plane(width, width)), plane(width, width))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return functional.relu(maps + self.body(maps))
