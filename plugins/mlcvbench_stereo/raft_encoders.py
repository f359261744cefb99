"""What RAFT-Stereo sees of the images: features to compare, and the context of the left image at several sizes.

Lipson, Teed and Deng (2021), sections 3.1 and 3.3; the layers are those of the published program.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn

Norm = Callable[[int], nn.Module]


class Block(nn.Module):
    """Two convolutions 3x3 whose result is added to what they were given; every norm is followed by a ReLU."""

    def __init__(self, inside: int, outside: int, norm: Norm, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inside, outside, 3, stride, 1),
            norm(outside),
            nn.ReLU(inplace=True),
            nn.Conv2d(outside, outside, 3, padding=1),
            norm(outside),
            nn.ReLU(inplace=True),
        )
        self.stride, same = stride, stride == 1 and inside == outside
        self.shortcut = nn.Identity() if same else nn.Sequential(nn.Conv2d(inside, outside, 1), norm(outside))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        # not by the convolution's stride: from 4 to 6 channels its gradient in torch 2.14 on CPUs destroys memory
        seen = maps[:, :, :: self.stride, :: self.stride]
        return torch.relu(self.shortcut(seen) + self.body(maps))


class Trunk(nn.Sequential):
    """Maps (B, 2 F, H/4, W/4) of images: a convolution 7x7 and three stages of two blocks of F, 3/2 F and 2 F."""

    def __init__(self, channels: int, width: int, norm: Norm) -> None:
        wide = [width, width, 3 * width // 2, 2 * width]
        stages = [
            part
            for (inside, outside), stride in zip(pairwise(wide), (1, 2, 2), strict=True)
            for part in (Block(inside, outside, norm, stride), Block(outside, outside, norm))
        ]
        super().__init__(nn.Conv2d(channels, width, 7, padding=3), norm(width), nn.ReLU(inplace=True), *stages)


class FeatureEncoder(nn.Module):
    """Features (B, 4 F, H/4, W/4) of both images, with instance norms, which know nothing of other images."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.trunk = Trunk(channels, width, nn.InstanceNorm2d)
        self.last = nn.Conv2d(2 * width, 4 * width, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.last(self.trunk(images))
        return features


class ContextEncoder(nn.Module):
    """What the updates start from and what they are told in each step, at 1/4, 1/8 .. of the left image's size.

    `forward` returns (state, context) of each size, the finest first, each (B, 2 F, h, w).
    """

    def __init__(self, channels: int, width: int, sizes: int) -> None:
        super().__init__()
        wide = 2 * width
        self.trunk = Trunk(channels, width, nn.BatchNorm2d)
        self.halve = nn.ModuleList(
            nn.Sequential(Block(wide, wide, nn.BatchNorm2d, 2), Block(wide, wide, nn.BatchNorm2d))
            for _ in range(sizes - 1)
        )
        self.states, self.told = (nn.ModuleList(_head(wide, size) for size in range(sizes)) for _ in range(2))

    def forward(self, images: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        maps = [self.trunk(images)]
        for halve in self.halve:
            maps.append(halve(maps[-1]))
        return [
            (torch.tanh(state(one)), torch.relu(told(one)))
            for one, state, told in zip(maps, self.states, self.told, strict=True)
        ]


def _head(width: int, size: int) -> nn.Sequential:
    """Return what makes a state or the context of one size; from the third on the published one has no block."""
    blocks = [Block(width, width, nn.BatchNorm2d)] if size < 2 else []
    return nn.Sequential(*blocks, nn.Conv2d(width, width, 3, padding=1))
