"""What RetinaNet and FCOS share: levels of a pyramid, heads that are the same on each, the best of all answers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import nn

from mlcvbench_networks.backbone_base import Backbone
from mlcvbench_networks.bases.detector import Detections
from mlcvbench_networks.pyramid import Extra, FeaturePyramid

Maps = list[torch.Tensor]
"""One map a level, (B, C, H_i, W_i), from fine to coarse."""
MOST = 1000
"""Answers of a level that are looked at: "at most 1k top-scoring predictions per FPN level" (RetinaNet, 4.1)."""

DECIMALS = 5
"""Of scores: of neighbours that say the same, the first is kept whatever was rounded how in batches of another size."""


def strides_of(levels: Sequence[int]) -> list[int]:
    """Return the strides of all levels from the finest to the coarsest.

    >>> strides_of([3, 7])
    [8, 16, 32, 64, 128]
    """
    finest, coarsest = levels
    return [2**level for level in range(finest, coarsest + 1)]


class Body(NamedTuple):
    """The levels of a pyramid on a backbone, of `width` channels each.

    `levels`: the finest and the coarsest, 5 or 7; `beyond`: what levels 6 and 7 are made from.
    """

    width: int
    levels: Sequence[int]
    beyond: Extra


class Levels(nn.Module):
    """A backbone's maps from the finest level on, and a pyramid of them; a method's network adds its heads."""

    def __init__(self, backbone: Backbone, body: Body) -> None:
        super().__init__()
        finest, coarsest = body.levels
        self.first = finest - 2
        self.backbone = backbone
        inside = backbone.channels[self.first :]
        self.pyramid = FeaturePyramid(inside, body.width, "none" if coarsest == 5 else body.beyond)

    def levels(self, images: torch.Tensor) -> Maps:
        """Map images (B, C, H, W) to one map (B, width, H_i, W_i) a level."""
        return self.pyramid(self.backbone(images)[self.first :])  # type: ignore[no-any-return]


def tower(width: int, layers: int, *, normed: bool = False) -> nn.Sequential:
    """Return `layers` 3x3 convolutions with ReLU, each with group norm if `normed`.

    32 groups, or as many as divide the width into two channels at least: one value alone has no deviation.
    """
    parts: list[nn.Module] = []
    shared = math.gcd(32, width)
    groups = shared if shared < width else width // 2
    for _ in range(layers):
        parts.append(nn.Conv2d(width, width, 3, padding=1))
        if normed:
            parts.append(nn.GroupNorm(groups, width))
        parts.append(nn.ReLU(inplace=True))
    return nn.Sequential(*parts)


def best_of(levels: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> Detections:
    """Return the `MOST` best pairs of a box (N_i, 4) and a class by scores (N_i, K) of each level of an image."""
    parts = [_best(boxes, scores) for boxes, scores in levels]
    return Detections(*(torch.cat(column) for column in zip(*(part[:3] for part in parts), strict=True)))


def _best(boxes: torch.Tensor, scores: torch.Tensor) -> Detections:
    every = scores.flatten()
    order = every.topk(min(MOST, len(every))).indices.sort().values
    best = every[order].round(decimals=DECIMALS)
    return Detections(boxes[order // scores.shape[1]], best, order % scores.shape[1])
