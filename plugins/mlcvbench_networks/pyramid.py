"""Pyramids: what the coarse maps of a backbone know is brought to the fine ones, and back.

Each takes maps from fine to coarse, (B, channels[i], H_i, W_i), and gives a list of maps from fine to coarse;
`channels` of a pyramid are those of its own maps. Sizes may be odd.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from mlcvbench_networks.darknet import convolution

Extra = Literal["none", "pool", "backbone", "pyramid"]


class FeaturePyramid(nn.Module):
    """1x1 laterals, each plus the coarser sum upsampled, then a 3x3 a level (Lin et al. 2017, FPN).

    `extra` levels: `none`; one that takes every second cell of the coarsest (Faster R-CNN); or two by 3x3 of stride 2,
    with ReLU in between, from the coarsest map of the `backbone` (RetinaNet) or of the `pyramid` (FCOS).
    """

    def __init__(self, channels: Sequence[int], width: int = 256, extra: Extra = "none") -> None:
        super().__init__()
        self.extra = extra
        self.lateral = nn.ModuleList(nn.Conv2d(inside, width, 1) for inside in channels)
        self.output = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in channels)
        self.coarser = nn.ModuleList()
        if extra in {"backbone", "pyramid"}:
            first = nn.Conv2d(channels[-1] if extra == "backbone" else width, width, 3, 2, 1)
            self.coarser.extend((first, nn.Conv2d(width, width, 3, 2, 1)))
        self.channels = [width] * (len(channels) + (extra == "pool") + len(self.coarser))
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_uniform_(part.weight, a=1)
                assert part.bias is not None
                nn.init.zeros_(part.bias)

    def forward(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Map one map a level to (B, width, H_i, W_i) each, and the extra levels."""
        summed = [lateral(level) for lateral, level in zip(self.lateral, maps, strict=True)]
        for level in reversed(range(len(summed) - 1)):
            summed[level] = summed[level] + _upsampled(summed[level + 1], summed[level])
        levels = [output(level) for output, level in zip(self.output, summed, strict=True)]
        if self.extra == "pool":
            levels.append(functional.max_pool2d(levels[-1], 1, 2))
        elif self.coarser:
            first, second = self.coarser
            levels.append(first(maps[-1] if self.extra == "backbone" else levels[-1]))
            levels.append(second(functional.relu(levels[-1])))
        return levels


class ConcatenatingPyramid(nn.Module):
    """Top-down by concatenation (Redmon and Farhadi 2018, section 2.3): level i has half the channels of its map.

    Five convolutions a level, 1x1 and 3x3 by turns; between levels a 1x1 to half the channels and upsampling.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.channels = [inside // 2 for inside in channels]
        passed = [*(width // 2 for width in self.channels[1:]), 0]  # from the coarser level
        self.levels = nn.ModuleList(
            _alternating(inside + more, width)
            for inside, more, width in zip(channels, passed, self.channels, strict=True)
        )
        self.passes = nn.ModuleList(convolution(width, width // 2, 1) for width in self.channels[1:])

    def forward(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Map one map a level to (B, channels[i] / 2, H_i, W_i) each."""
        levels = [self.levels[-1](maps[-1])]
        for level in reversed(range(len(maps) - 1)):
            coarser = _upsampled(self.passes[level](levels[0]), maps[level])
            levels.insert(0, self.levels[level](torch.cat((coarser, maps[level]), dim=1)))
        return levels


class BiFPN(nn.Module):
    """`cells` times top-down and bottom-up with learned weights (Tan et al. 2020, section 3).

    `levels`: how many maps there are in the end, such as the five of P3 to P7, more than the backbone gives: the others
    are pooled from its last. Its maps come into the first cell by a 1x1 for each of the ways that they go.
    """

    def __init__(self, channels: Sequence[int], width: int = 64, cells: int = 3, levels: int = 5) -> None:
        super().__init__()
        self.channels = [width] * levels
        self.down = nn.ModuleList(_projection(inside, width) for inside in channels)
        self.up = nn.ModuleList(_projection(inside, width) for inside in channels[1:])
        self.coarser = _projection(channels[-1], width)
        self.cells = nn.ModuleList(_Cell(width, levels) for _ in range(cells))

    def forward(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Map one map a level of the backbone to `levels` of (B, width, H_i, W_i)."""
        coarser = [_pooled(self.coarser(maps[-1]))]
        while len(maps) + len(coarser) < len(self.channels):
            coarser.append(_pooled(coarser[-1]))
        down = [projection(level) for projection, level in zip(self.down, maps, strict=True)] + coarser
        up = [projection(level) for projection, level in zip(self.up, maps[1:], strict=True)] + coarser
        for cell in self.cells:
            down = cell(down, up)
            up = down[1:]
        return down


class Fusion(nn.Module):
    """Fast normalised fusion: sum of w_i x_i / (eps + sum of w_j), w = max(0, weights), eps = 1e-4 (section 3.3)."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(count))

    def forward(self, *maps: torch.Tensor) -> torch.Tensor:
        """Return the weighted mean of maps of one shape."""
        weights = torch.relu(self.weights)
        shares = weights / (1e-4 + weights.sum())
        return (shares.view(-1, *([1] * maps[0].ndim)) * torch.stack(maps)).sum(dim=0)


class _Cell(nn.Module):
    """P_td = conv(P_in, up(P_td of the coarser)), then P_out = conv(P_in, P_td, down(P_out of the finer))."""

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(_Node(2, width) for _ in range(levels - 1))
        self.up = nn.ModuleList(_Node(3 if level < levels - 1 else 2, width) for level in range(1, levels))

    def forward(self, down: Sequence[torch.Tensor], up: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Map the maps that go into the way down, and those of all levels but the finest into the way up."""
        between = [down[-1]]
        for node, level in zip(reversed(self.down), reversed(down[:-1]), strict=True):
            between.insert(0, node(level, _upsampled(between[0], level)))
        outputs = [between[0]]
        for number, (node, level) in enumerate(zip(self.up, up, strict=True), start=1):
            finer = _pooled(outputs[-1])[..., : level.shape[-2], : level.shape[-1]]
            inside = (level, between[number]) if number < len(down) - 1 else (level,)
            outputs.append(node(*inside, finer))
        return outputs


class _Node(nn.Module):
    """Fusion, swish, a depthwise separable 3x3 and batch norm."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.fusion = Fusion(count)
        self.layers = nn.Sequential(
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
            nn.Conv2d(width, width, 1, bias=False),
            _norm(width),
        )

    def forward(self, *maps: torch.Tensor) -> torch.Tensor:
        return self.layers(self.fusion(*maps))  # type: ignore[no-any-return]


def _alternating(inside: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        convolution(inside, width, 1),
        convolution(width, 2 * width, 3),
        convolution(2 * width, width, 1),
        convolution(width, 2 * width, 3),
        convolution(2 * width, width, 1),
    )


def _projection(inside: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inside, width, 1, bias=False), _norm(width))


def _norm(width: int) -> nn.BatchNorm2d:
    """Return a batch norm with the constants of EfficientDet."""
    return nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)


def _upsampled(coarse: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return the nearest cell of a coarse map for each cell of `like`, to its exact size, which may be odd."""
    return functional.interpolate(coarse, size=like.shape[-2:], mode="nearest")


def _pooled(maps: torch.Tensor) -> torch.Tensor:
    """Return the largest of 3x3 cells around every second one: (B, C, ceil(H / 2), ceil(W / 2))."""
    return functional.max_pool2d(maps, 3, 2, 1)
