"""Darknet-53, the backbone of YOLOv3 (Redmon and Farhadi 2018, table 1), and the layer that it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from mlcvbench_networks.backbone_base import Backbone

BLOCKS = (1, 2, 8, 8, 4)
"""Residual blocks at strides 2, 4, 8, 16 and 32."""
WIDTHS = (64, 128, 256, 512, 1024)


def convolution(inside: int, outside: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution that keeps the size (at stride 1), batch norm, leaky ReLU of slope 0.1."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outside),
        nn.LeakyReLU(0.1, inplace=True),
    )


class Darknet53(Backbone):
    """52 convolutions, 40,584,928 parameters for three channels; the 53rd layer classifies and is left out.

    C2 to C5 have 128, 256, 512 and 1,024 channels.
    """

    channels: Sequence[int] = WIDTHS[1:]

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.stem = convolution(channels, 32, 3)
        steps = zip(pairwise((32, *WIDTHS)), BLOCKS, strict=True)
        self.stages = nn.ModuleList(_stage(inside, outside, count) for (inside, outside), count in steps)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        maps = [self.stem(images)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[1 if self.gives_half else 2 :]

    def cut(self, level: int) -> None:
        self.stages = self.stages[:level]

    def add_half(self) -> None:
        self.gives_half, self.channels = True, WIDTHS


class _Block(nn.Module):
    """y = x + 3x3(1x1(x)), half the channels in between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(convolution(width, width // 2, 1), convolution(width // 2, width, 3))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps + self.layers(maps)  # type: ignore[no-any-return]


def _stage(inside: int, outside: int, count: int) -> nn.Sequential:
    return nn.Sequential(convolution(inside, outside, 3, 2), *(_Block(outside) for _ in range(count)))
