"""PSMNet (Chang and Chen 2018, "Pyramid Stereo Matching Network", table 1): features with the context of four sizes, a
volume at a quarter of the size, three stacked hourglasses in three dimensions.

As published: `model.width=32 model.blocks=[3,16,3,3] model.pools=[64,32,16,8]`, 192 disparities; 5,224,768 parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from mlcvbench.contract import Problem
from mlcvbench_networks.arithmetic import in_full
from mlcvbench_networks.dense.upsampling import bilinear
from mlcvbench_networks.stereo.volumes import concatenation, soft_argmin
from mlcvbench_stereo.volume_model import VolumeModel, doubled, he_drawn, plane, relu, solid

QUARTER = 4


class PSMNet(VolumeModel):
    """Losses of the three hourglasses with weights .5, .7 and 1; at test the last one answers (section 3.5)."""

    WEIGHTS: ClassVar[Sequence[float]] = (0.5, 0.7, 1.0)
    SMOOTH: ClassVar[bool] = True
    MULTIPLE = 16

    def __init__(
        self,
        problem: Problem,
        width: int = 8,
        blocks: Sequence[int] = (1, 2, 1, 1),
        pools: Sequence[int] = (16, 8, 4, 2),
        disparities: int | None = None,
    ) -> None:
        super().__init__(problem, disparities, width=width, blocks=list(blocks), pools=list(pools))
        self.width, self.blocks, self.pools = width, blocks, pools

    def network(self) -> nn.Module:
        return PSMNetwork(self.channels, self.width, self.blocks, self.pools, self.levels)


class PSMNetwork(nn.Module):
    """`forward` returns the disparities (B, 1, H, W) of each hourglass in training, else of the last one."""

    def __init__(self, channels: int, width: int, blocks: Sequence[int], pools: Sequence[int], levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.features = Features(channels, width, blocks, pools)
        self.begin = nn.Sequential(relu(solid(2 * width, width)), relu(solid(width, width)))
        self.residual = nn.Sequential(relu(solid(width, width)), solid(width, width))
        self.hourglasses = nn.ModuleList(Hourglass(width) for _ in range(3))
        self.score = nn.ModuleList(
            nn.Sequential(relu(solid(width, width)), nn.Conv3d(width, 1, 3, padding=1, bias=False)) for _ in range(3)
        )
        he_drawn(self)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> list[torch.Tensor]:
        own, other = self.features(torch.cat([2 * left - 1, 2 * right - 1])).chunk(2)
        volume = self.begin(concatenation(own, other, self.levels // QUARTER))  # (B, F, D/4, H/4, W/4)
        volume = volume + self.residual(volume)
        out, first, before = volume, None, None
        scores: list[torch.Tensor] = []
        for hourglass, score in zip(self.hourglasses, self.score, strict=True):
            # the half-size maps before the middle come from the first hourglass, those after it from the last one
            out, coarse, before = hourglass(out, first, before)
            first = coarse if first is None else first
            out = out + volume
            scores.append(score(out) + (scores[-1] if scores else 0))
        frame = (left.shape[2], left.shape[3])
        return [disparities(one[:, 0], frame) for one in (scores if self.training else scores[-1:])]


def disparities(scores: torch.Tensor, frame: tuple[int, int]) -> torch.Tensor:
    """Return disparities (B, 1, H, W) of scores (B, D/4, H/4, W/4), large where a match is good.

    Level i of the volume is a shift by i pixels of a quarter of the size, 4 i pixels: scores between them are
    interpolated from there. (Trilinear interpolation that takes levels for areas would move them by 1.5 pixels.)
    """
    scores = in_full(scores)
    following = torch.cat([scores[:, 1:], scores[:, -1:]], 1)
    between = [torch.lerp(scores, following, step / QUARTER) for step in range(QUARTER)]
    return soft_argmin(-bilinear(torch.stack(between, 2).flatten(1, 2), frame))


class Features(nn.Module):
    """The features of one image at a quarter of its size, (B, F, H/4, W/4), with means over squares beside each pixel.

    `pools`: sides of the squares; where the map is smaller, the square is the map.
    """

    def __init__(self, channels: int, width: int, blocks: Sequence[int], pools: Sequence[int]) -> None:
        super().__init__()
        wide = [width, width, 2 * width, 4 * width, 4 * width]
        self.first = nn.Sequential(
            relu(plane(channels, width, stride=2)), relu(plane(width, width)), relu(plane(width, width))
        )
        stages = zip(wide, wide[1:], blocks, (1, 2, 1, 1), (1, 1, 1, 2), strict=False)
        self.stages = nn.ModuleList(_stage(*stage) for stage in stages)
        self.pools = pools
        self.context = nn.ModuleList(relu(plane(4 * width, width, 1)) for _ in pools)
        self.last = nn.Sequential(
            relu(plane((6 + len(pools)) * width, 4 * width)), nn.Conv2d(4 * width, width, 1, bias=False)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = [self.first(images)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        raw, deep = maps[2], maps[4]
        height, width = deep.shape[2:]
        around = []
        for side, context in zip(self.pools, self.context, strict=True):
            mean = functional.avg_pool2d(deep, (min(side, height), min(side, width)))
            around.append(bilinear(context(mean), (height, width)).to(deep))
        features: torch.Tensor = self.last(torch.cat([raw, deep, *reversed(around)], 1))
        return features


class Block(nn.Module):
    """Two convolutions whose result is added to what they were given, with no ReLU after the sum."""

    def __init__(self, inside: int, outside: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            relu(plane(inside, outside, 3, stride, dilation)), plane(outside, outside, dilation=dilation)
        )
        same = stride == 1 and inside == outside
        self.shortcut = nn.Identity() if same else plane(inside, outside, 1, stride)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        total: torch.Tensor = self.shortcut(maps) + self.body(maps)
        return total


class Hourglass(nn.Module):
    """To a quarter of the volume's size and back (table 1, 3Dstack)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        wide = 2 * width
        self.halve, self.level = relu(solid(width, wide, 2)), solid(wide, wide)
        self.middle = nn.Sequential(relu(solid(wide, wide, 2)), relu(solid(wide, wide)))
        self.back, self.out = doubled(wide, wide), doubled(wide, width)

    def forward(
        self, volume: torch.Tensor, first: torch.Tensor | None, before: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the result and the maps of half its size before and after the middle.

        `first`: that map before the middle of the first hourglass; `before`: the one after it of the hourglass before.
        """
        coarse = self.level(self.halve(volume))
        coarse = functional.relu(coarse if before is None else coarse + before)
        after = functional.relu(self.back(self.middle(coarse)) + (coarse if first is None else first))
        return self.out(after), coarse, after


def _stage(inside: int, outside: int, count: int, stride: int, dilation: int) -> nn.Sequential:
    return nn.Sequential(
        Block(inside, outside, stride, dilation), *(Block(outside, outside, 1, dilation) for _ in range(count - 1))
    )
