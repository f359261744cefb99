"""NN1 of FaceNet (Schroff et al. 2015, table 1): Zeiler and Fergus's network with 1x1 convolutions between its layers.

The table's sizes are those at 220 pixels. Its fully connected layers are maxouts of two.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

CELLS = 7
"""Of the last map, at 220 pixels: its five strides of two round up."""
HIDDEN = 4096
PIECES = 2
"""Linear functions of which a maxout is the largest."""


class NN1(nn.Module):
    """Map images (B, C, S, S) to embeddings (B, D) of length 1."""

    def __init__(self, channels: int = 3, size: int = 220, dimensions: int = 128) -> None:
        super().__init__()
        pool = nn.MaxPool2d(3, 2, 1)
        self.layers = nn.Sequential(
            *_conv(channels, 64, 7, 2), pool, nn.LocalResponseNorm(5),
            *_conv(64, 64, 1), *_conv(64, 192, 3), nn.LocalResponseNorm(5), pool,
            *_conv(192, 192, 1), *_conv(192, 384, 3), pool,
            *_conv(384, 384, 1), *_conv(384, 256, 3),
            *_conv(256, 256, 1), *_conv(256, 256, 3),
            *_conv(256, 256, 1), *_conv(256, 256, 3), pool,
        )  # fmt: skip
        cells = size
        for _ in range(5):
            cells = -(-cells // 2)
        widths = (256 * cells**2, HIDDEN, HIDDEN)
        self.hidden = nn.Sequential(nn.Flatten(), *(Maxout(inside, outside) for inside, outside in pairwise(widths)))
        self.points = nn.Linear(HIDDEN, dimensions)
        for part in self.layers:
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
                nn.init.zeros_(part.bias)  # type: ignore[arg-type]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        points: torch.Tensor = self.points(self.hidden(self.layers(images)))
        return functional.normalize(points, dim=1)


class Maxout(nn.Module):
    """The largest of `PIECES` linear functions, each output by itself (Goodfellow et al., "Maxout networks", 2013)."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.pieces = nn.Linear(inside, PIECES * outside)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.pieces(values).unflatten(-1, (-1, PIECES)).amax(-1)  # type: ignore[no-any-return]


def _conv(inside: int, outside: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inside, outside, kernel, stride, kernel // 2), nn.ReLU(inplace=True)]
