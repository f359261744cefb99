"""A backbone and the layers that turn its last map into a point."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mlcvbench_networks.backbone_base import Backbone
from mlcvbench_networks.transfer import answering


class EmbeddingNetwork(nn.Module):
    """Map images (B, C, S, S) to embeddings (B, D), of length 1 where `unit`.

    Every cell of the map has weights of its own, between two norms and with dropout before: ArcFace's output "E" (Deng
    et al. 2019, section 3.1). A mean over cells would not know where in the face it saw something.
    """

    def __init__(
        self, body: Backbone, image: tuple[int, int, int], dimensions: int, *, unit: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.backbone, self.unit = body, unit
        with torch.no_grad(), answering(body):
            _, channels, high, wide = body(torch.zeros(1, *image))[-1].shape
        self.head = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(channels * high * wide, dimensions),
            nn.BatchNorm1d(dimensions),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        points: torch.Tensor = self.head(self.backbone(images)[-1])
        return functional.normalize(points, dim=1) if self.unit else points


class PooledNetwork(nn.Module):
    """Map images to the mean over cells of the map at `level`, (B, D): what the last layer of a classifier looks at."""

    def __init__(self, body: Backbone, level: int) -> None:
        super().__init__()
        self.backbone, self.dimensions = body, body.channels[level - 2]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = self.backbone(images)[-1]
        return maps.mean((2, 3))
