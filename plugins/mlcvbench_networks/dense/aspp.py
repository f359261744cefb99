"""Atrous spatial pyramid pooling: one map seen at several scales at once.

Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation" (DeepLabv3, 2017), section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mlcvbench_networks.dense.upsampling import bilinear


def rates_at(stride: int) -> tuple[int, int, int]:
    """Return DeepLabv3's dilations for features of this output stride: they keep their reach in pixels of the image.

    >>> rates_at(8), rates_at(16)
    ((12, 24, 36), (6, 12, 18))
    """
    first = max(1, round(96 / stride))
    return first, 2 * first, 3 * first


class ASPP(nn.Module):
    """Map features (B, channels, H, W) to (B, width, H, W): parallel branches, concatenated and mixed by a 1x1.

    The branches are a 1x1 convolution, a 3x3 for each of the `rates` (dilations, in pixels of the map) and, with
    `image_pooling`, the mean over the whole map; each has batch norm and ReLU. A rate as large as the map leaves of its
    3x3 the middle only, which is why the paper adds the mean. Weights carry the names of torchvision's ASPP.
    """

    def __init__(
        self,
        channels: int,
        rates: Sequence[int],
        width: int = 256,
        *,
        image_pooling: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        branches: list[nn.Module] = [_unit(channels, width)]
        branches += [_unit(channels, width, rate) for rate in rates]
        if image_pooling:
            branches.append(_ImagePooling(channels, width))
        self.convs = nn.ModuleList(branches)
        self.project = nn.Sequential(*_unit(len(branches) * width, width), nn.Dropout(dropout))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return what all branches see, mixed."""
        mixed: torch.Tensor = self.project(torch.cat([branch(maps) for branch in self.convs], dim=1))
        return mixed


class _ImagePooling(nn.Sequential):
    """The mean of each channel over its whole map, mixed by a 1x1 and spread over the map again."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(1), *_unit(channels, width))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        if self.training and len(maps) == 1:
            raise ValueError(
                "image pooling leaves one value a channel and image, of which batch norm needs at least 2: train on "
                "batches of 2 images or more, or with image_pooling=False."
            )
        pooled = maps
        for part in self:
            pooled = part(pooled)
        return bilinear(pooled, (maps.shape[2], maps.shape[3]))


def _unit(channels: int, width: int, rate: int | None = None) -> nn.Sequential:
    """Return a convolution, 1x1 or 3x3 with taps `rate` apart, with batch norm and ReLU."""
    convolution = (
        nn.Conv2d(channels, width, 1, bias=False)
        if rate is None
        else nn.Conv2d(channels, width, 3, padding=rate, dilation=rate, bias=False)
    )
    return nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU())
