"""Regions of maps as squares of one size: RoIPool (Girshick 2015), RoIAlign (He et al. 2017); levels of an FPN.

`roi_pool` rounds a region to whole cells and takes the largest of each bin; `roi_align` rounds nothing and takes the
mean of bilinear samples, with the cells' middles at half-integers (`aligned`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional
from torchvision.ops import roi_align, roi_pool

from mlcvbench_networks.arithmetic import in_full

CANONICAL = 224
"""Pixels a side of a region that looks at level 4: the size of ImageNet's images, on which backbones are trained."""
SAMPLES = 2
"""A bin has as many bilinear samples across and down (He et al. 2017, section 3)."""


def levels_of(boxes: torch.Tensor, finest: int, coarsest: int) -> torch.Tensor:
    """Return the level of boxes (R, 4), floor(4 + log2(sqrt(w h) / 224)) within those that there are: int64 (R,).

    Lin et al. 2017 (FPN), equation 1.
    """
    sides = torch.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(dim=1))
    return torch.floor(4 + torch.log2(sides / CANONICAL) + 1e-6).clamp(finest, coarsest).long()


@dataclass(frozen=True)
class RegionPooling:
    """Cuts regions out of maps of levels `finest` to `coarsest`, level l at stride 2^l, as `side` x `side` cells.

    `aligned`: whether RoIAlign has the middles of cells at half-integers; torchvision's published networks have not.
    """

    kind: Literal["pool", "align"]
    side: int
    finest: int
    coarsest: int
    aligned: bool = True

    @property
    def levels(self) -> int:
        """How many maps regions are cut from."""
        return self.coarsest - self.finest + 1

    def __call__(self, maps: Sequence[torch.Tensor], regions: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the regions (R_i, 4) of each image, in pixels, one after the other: float32 (R, C, side, side)."""
        none = maps[0].new_zeros((0, 5), dtype=torch.float32)  # there may be no image
        images = [functional.pad(own, (1, 0), value=place) for place, own in enumerate(regions)]
        rows = torch.cat([none, *images])
        levels = levels_of(rows[:, 1:], self.finest, self.coarsest)
        cut, places = [], []
        for level, map_ in zip(range(self.finest, self.coarsest + 1), maps, strict=True):
            here = torch.nonzero(levels == level).squeeze(1)
            cut.append(self.cut(in_full(map_), rows[here], 1 / 2**level))
            places.append(here)
        return torch.cat(cut)[torch.argsort(torch.cat(places))]

    def cut(self, map_: torch.Tensor, rows: torch.Tensor, scale: float) -> torch.Tensor:
        """Return rows (R, 5) of image, x0, y0, x1, y1 of a map (B, C, H, W) as (R, C, side, side)."""
        if self.kind == "pool":
            return roi_pool(map_, rows.to(map_), self.side, scale)  # type: ignore[no-any-return]
        return roi_align(map_, rows.to(map_), self.side, scale, SAMPLES, self.aligned)  # type: ignore[no-any-return]
