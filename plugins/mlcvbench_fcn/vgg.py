"""VGG whose fully-connected layers are convolutions (Simonyan and Zisserman 2015; Long et al. 2015, section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import nn

from mlcvbench_networks.backbone_base import Backbone
from mlcvbench_networks.initialisation import he_initialised

FIELD = 7
"""Cells a side of the last map that the first fully-connected layer saw, 224 / 32."""
CLASSIFIER = ("classifier.0", "classifier.3")
"""torchvision's names of the fully-connected layers before the one that scores."""


class Shape(NamedTuple):
    """How large a VGG is: convolutions of each of its five stages, channels of the first and of the hidden layers.

    `normed`: with a batch norm after each convolution. `dropout`: share of hidden channels dropped in training.
    """

    layers: Sequence[int] = (1, 1, 2, 2, 2)
    width: int = 16
    hidden: int = 256
    normed: bool = True
    dropout: float = 0.0


class ConvolutionalVgg(Backbone):
    """Maps images to pool2 to pool4, and to what was fc7, at strides 4, 8, 16 and 32.

    Stages have w, 2w, 4w, 8w and 8w channels and end in a 2x2 max pool. Tensors have torchvision's names, so that its
    checkpoints fit; its fully-connected layers are read as 7x7 and 1x1 convolutions. These keep the size of their map,
    where the paper pads the image by 100 pixels instead and crops.
    """

    def __init__(self, channels: int, shape: Shape) -> None:
        super().__init__()
        widths = [shape.width * times for times in (1, 2, 4, 8, 8)]
        self.channels = (*widths[1:4], shape.hidden)
        parts: list[nn.Module] = []
        self.pools = []
        inside = channels
        for width, layers in zip(widths, shape.layers, strict=True):
            for _ in range(layers):
                parts += _layer(inside, width, 3, normed=shape.normed)
                inside = width
            self.pools.append(len(parts))
            parts.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*parts)
        # places 0 and 3 as in torchvision's classifier, whose second one is dropout as here
        self.classifier = nn.Sequential(
            nn.Conv2d(inside, shape.hidden, FIELD, padding=FIELD // 2),
            nn.ReLU(inplace=True),
            nn.Dropout2d(shape.dropout),
            nn.Conv2d(shape.hidden, shape.hidden, 1),
            nn.ReLU(inplace=True),
            nn.Dropout2d(shape.dropout),
        )
        he_initialised(self)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        pooled, maps = [], images
        for place, part in enumerate(self.features):
            maps = part(maps)
            if place in self.pools:
                pooled.append(maps)
        return [*pooled[1:4], self.classifier(maps)]


def as_convolutions(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a checkpoint of a VGG whose fully-connected layers are convolutions: fc6 sees 7x7 cells.

    The same numbers: a fully-connected layer is a convolution that fits its map once (Long et al. 2015, figure 2).
    """
    found = dict(state)
    for name, side in zip(CLASSIFIER, (FIELD, 1), strict=True):
        weight = found.get(f"{name}.weight")
        if weight is not None and weight.ndim == 2 and weight.shape[1] % side**2 == 0:
            found[f"{name}.weight"] = weight.reshape(len(weight), -1, side, side)
    return found


def _layer(inside: int, outside: int, kernel: int, *, normed: bool) -> list[nn.Module]:
    norm = [nn.BatchNorm2d(outside)] if normed else []
    return [nn.Conv2d(inside, outside, kernel, padding=kernel // 2), *norm, nn.ReLU(inplace=True)]
