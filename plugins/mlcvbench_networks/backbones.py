"""What turns images into maps: C2 to C5, at strides 4, 8, 16 and 32 of the image, without published weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from mlcvbench.errors import UnknownNameError
from mlcvbench_networks.backbone_base import Backbone
from mlcvbench_networks.darknet import Darknet53
from mlcvbench_networks.initialisation import he_initialised


def backbone(name: str, channels: int = 3, images: int = 1) -> Backbone:
    """Return a new `small`, `darknet53`, `timm:NAME` or `torchvision:NAME` for images of 1 or 3 channels.

    `images`: how many of them it sees at once, one's channels after the other's; those of a library want colours then.

    UnknownNameError for another name; RequestError where a network of a library has no map at one of the strides.
    """
    library, _, network = name.rpartition(":")
    if library in {"timm", "torchvision"}:
        from mlcvbench_networks.library_backbones import library_backbone

        return library_backbone(library, network, images)
    if name == "small":
        return SmallResidual(images * channels)
    if name == "medium":
        return SmallResidual(images * channels, (32, 64, 128, 256), blocks=2)
    if name == "darknet53":
        return Darknet53(images * channels)
    raise UnknownNameError("backbone", name, ["small", "medium", "darknet53", "timm:", "torchvision:"])


class SmallResidual(Backbone):
    """A residual network for detectors that train in minutes on a CPU: no layer at full resolution.

    A 3x3 of stride 2, then a stage a map, each of `blocks` basic blocks (He et al. 2016) of which the first halves the
    size. 445,032 parameters for three channels.
    """

    def __init__(self, channels: int = 3, widths: Sequence[int] = (24, 48, 96, 128), blocks: int = 1) -> None:
        super().__init__()
        self.channels, self.stem_width = tuple(widths), widths[0]
        self.stem = nn.Sequential(*_normed(channels, widths[0], 2), nn.ReLU(inplace=True))
        self.stages = nn.ModuleList(
            nn.Sequential(_Block(inside, outside, 2), *(_Block(outside, outside, 1) for _ in range(blocks - 1)))
            for inside, outside in pairwise((widths[0], *widths))
        )
        he_initialised(self)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        maps = [self.stem(images)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[0 if self.gives_half else 1 :]

    def cut(self, level: int) -> None:
        self.stages = self.stages[: level - 1]

    def add_half(self) -> None:
        self.gives_half, self.channels = True, (self.stem_width, *self.channels)


class _Block(nn.Module):
    """y = ReLU(3x3(ReLU(3x3(x))) + x), a norm after each convolution; a 1x1 of stride 2 where the size changes."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *_normed(inside, outside, stride), nn.ReLU(inplace=True), *_normed(outside, outside, 1)
        )
        self.shortcut = nn.Sequential(*_normed(inside, outside, stride, 1)) if stride > 1 else nn.Identity()

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.residual(maps) + self.shortcut(maps))


def _normed(inside: int, outside: int, stride: int, kernel: int = 3) -> list[nn.Module]:
    return [nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outside)]
