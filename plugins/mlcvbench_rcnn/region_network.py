"""The network that R-CNN runs on each region, with the classifiers and regressions that are fitted on its features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import nn

from mlcvbench_networks.backbone_base import Backbone

GRID = 2
"""Cells a side that the last map of a backbone is averaged to."""
COLOURS = 3


class Described(NamedTuple):
    """What a network makes of N regions: its last map `pooled` (N, P), its last layer but one `features` (N, D)."""

    pooled: torch.Tensor
    features: torch.Tensor


class Trunk(nn.Module, ABC):
    """Turns regions into `Described`, whose widths are P and D."""

    widths: tuple[int, int]

    @abstractmethod
    def forward(self, regions: torch.Tensor) -> Described:
        """Describe regions float (N, C, S, S), values in [0, 1] less a mean."""


class BackboneTrunk(Trunk):
    """The last map of a backbone on a grid of 2 x 2, and one hidden layer of `width`."""

    def __init__(self, body: Backbone, width: int) -> None:
        super().__init__()
        self.backbone = body
        self.widths = body.channels[-1] * GRID * GRID, width
        self.pool = nn.AdaptiveAvgPool2d(GRID)
        self.hidden = nn.Sequential(nn.Linear(self.widths[0], width), nn.ReLU(), nn.Dropout(0.5))

    def forward(self, regions: torch.Tensor) -> Described:
        pooled = self.pool(self.backbone(regions)[-1]).flatten(1)
        return Described(pooled, self.hidden(pooled))


class AlexNetTrunk(Trunk):
    """torchvision's AlexNet up to fc7: pool5 and fc7 of the paper. Its parts have the names of torchvision's files."""

    def __init__(self) -> None:
        from torchvision.models import alexnet

        super().__init__()
        whole = alexnet(weights=None)
        self.features, self.avgpool, self.classifier = whole.features, whole.avgpool, whole.classifier[:-1]
        self.widths = 9216, 4096

    def forward(self, regions: torch.Tensor) -> Described:
        pooled = self.avgpool(self.features(regions.expand(-1, COLOURS, -1, -1))).flatten(1)
        return Described(pooled, self.classifier(pooled))


class RegionNetwork(nn.Module):
    """A trunk and a layer of logits, background first; beside them what is fitted on what the trunk gives.

    `svm` (K, D) and `svm_bias` (K,): margins of the classes; `ridge` (K, 4, P) and `ridge_bias` (K, 4): their deltas.
    `mean` (C,): that of the training images in [0, 1], which is subtracted.
    """

    mean: torch.Tensor
    svm: torch.Tensor
    svm_bias: torch.Tensor
    ridge: torch.Tensor
    ridge_bias: torch.Tensor

    def __init__(self, trunk: Trunk, classes: int, channels: int) -> None:
        super().__init__()
        pooled, features = trunk.widths
        self.trunk = trunk
        self.logits = nn.Linear(features, classes + 1)
        nn.init.normal_(self.logits.weight, std=0.01)
        nn.init.zeros_(self.logits.bias)
        self.register_buffer("mean", torch.full((channels,), 0.5))
        self.register_buffer("svm", torch.zeros(classes, features))
        self.register_buffer("svm_bias", torch.zeros(classes))
        self.register_buffer("ridge", torch.zeros(classes, 4, pooled))
        self.register_buffer("ridge_bias", torch.zeros(classes, 4))

    @property
    def backbone(self) -> nn.Module | None:
        """The backbone of the trunk, if it has one."""
        return getattr(self.trunk, "backbone", None)

    def forward(self, regions: torch.Tensor) -> torch.Tensor:
        """Return logits (N, K + 1) of regions float (N, C, S, S) in [0, 1]."""
        logits: torch.Tensor = self.logits(self.describe(regions).features)
        return logits

    def describe(self, regions: torch.Tensor) -> Described:
        """Return what the classifiers see of regions float (N, C, S, S) in [0, 1]."""
        described: Described = self.trunk(regions - self.mean[:, None, None])
        return described

    def margins(self, features: torch.Tensor) -> torch.Tensor:
        """Return the margins (N, K) of the SVMs."""
        return nn.functional.linear(features, self.svm, self.svm_bias)

    def deltas(self, pooled: torch.Tensor) -> torch.Tensor:
        """Return the deltas (N, K, 4) of the regressions."""
        return torch.einsum("np,kdp->nkd", pooled, self.ridge) + self.ridge_bias
