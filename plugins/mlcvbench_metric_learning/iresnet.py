"""The residual networks of ArcFace (Deng et al. 2019, section 3.1; after Han, Kim and Kim, "Deep pyramidal residual
networks", 2017): a block is BN, 3x3, BN, PReLU, 3x3, BN, and the first layer keeps the image's full size.

Parts are called as in the checkpoints that are published for PyTorch, so that `weights=FILE` reads these. Images are
those of aligned faces, 112 x 112, red, green and blue, shown to the network as 2x - 1.
"""

from __future__ import annotations

import torch
from torch import nn

from mlcvbench_metric_learning.limits import STRIDE

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3)}
"""Blocks of each stage by the number of layers."""
WIDTHS = (64, 128, 256, 512)


class IResNet(nn.Module):
    """Map images (B, C, S, S), S a multiple of 16, to embeddings (B, D)."""

    def __init__(self, depth: int, channels: int = 3, size: int = 112, dimensions: int = 512, dropout: float = 0.0):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1, self.prelu = _norm(WIDTHS[0]), nn.PReLU(WIDTHS[0])
        inside = WIDTHS[0]
        for stage, (width, blocks) in enumerate(zip(WIDTHS, DEPTHS[depth], strict=True), start=1):
            first = _Block(inside, width, 2)
            self.add_module(
                f"layer{stage}", nn.Sequential(first, *(_Block(width, width, 1) for _ in range(blocks - 1)))
            )
            inside = width
        self.bn2, self.dropout = _norm(inside), nn.Dropout(dropout)
        self.fc = nn.Linear(inside * (size // STRIDE) ** 2, dimensions)
        self.features = nn.BatchNorm1d(dimensions)
        self.features.weight.requires_grad_(False)  # lengths count for nothing, so a scale of all has nothing to learn
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.normal_(part.weight, std=0.1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.prelu(self.bn1(self.conv1(2 * images - 1)))
        for stage in (1, 2, 3, 4):
            maps = getattr(self, f"layer{stage}")(maps)
        points: torch.Tensor = self.features(self.fc(self.dropout(self.bn2(maps)).flatten(1)))
        return points


class _Block(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.bn1 = _norm(inside)
        self.conv1 = nn.Conv2d(inside, outside, 3, padding=1, bias=False)
        self.bn2, self.prelu = _norm(outside), nn.PReLU(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, stride, 1, bias=False)
        self.bn3 = _norm(outside)
        self.downsample = (
            nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), _norm(outside)) if stride > 1 else None
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        residual: torch.Tensor = self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(maps))))))
        return residual + (maps if self.downsample is None else self.downsample(maps))


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width)
