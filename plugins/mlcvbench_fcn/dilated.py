"""What stands on a dilated residual network: a classifier of its last map, maybe a second one to train with."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import nn

from mlcvbench.contract import Problem
from mlcvbench_fcn.at_image_size import at_image_size
from mlcvbench_fcn.settings import DILATED_FIT
from mlcvbench_networks.backbone_base import Backbone
from mlcvbench_networks.bases.segmenter import Segmenter
from mlcvbench_networks.dense.dilation import dilated


class DilatedSegmenter(Segmenter):
    """A method writes `classifier`. `stride`: of the last map; beyond it the backbone's strides become dilations.

    `auxiliary`: a second classifier, of the map before the last, for training alone.
    """

    FIT = DILATED_FIT

    def __init__(
        self,
        problem: Problem,
        stride: int = 4,
        upsampling: str = "bilinear",
        auxiliary: bool = False,
        **further: Any,
    ) -> None:
        super().__init__(problem, stride=stride, upsampling=upsampling, auxiliary=auxiliary, **further)
        self.stride, self.upsampling, self.auxiliary = stride, upsampling, auxiliary

    @abstractmethod
    def classifier(self, channels: int) -> nn.Module:
        """Return what maps the backbone's last map (B, channels, h, w) to logits (B, classes, h, w)."""

    def network(self) -> nn.Module:
        body, classes = dilated(self.new_backbone(), self.stride), len(self.problem.classes)
        second = simple_head(body.channels[-2], classes) if self.auxiliary else None
        return OnDilated(
            body, self.classifier(body.channels[-1]), second, at_image_size(self.upsampling, classes, self.stride)
        )


class OnDilated(nn.Module):
    """A backbone, its classifiers and what enlarges their answers."""

    def __init__(self, backbone: Backbone, classifier: nn.Module, auxiliary: nn.Module | None, last: nn.Module) -> None:
        super().__init__()
        self.backbone, self.classifier, self.auxiliary, self.last = backbone, classifier, auxiliary, last

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Map images (B, C, H, W) to logits; in training a pair of them where there is a second classifier."""
        maps = self.backbone(images)
        answers: torch.Tensor = self.last(self.classifier(maps[-1]))
        if self.auxiliary is None or not self.training:
            return answers
        return answers, self.last(self.auxiliary(maps[-2]))


def simple_head(channels: int, classes: int) -> nn.Sequential:
    """Return torchvision's head of an FCN: 3x3 to a quarter of the channels, batch norm, ReLU, dropout, 1x1."""
    width = max(1, channels // 4)
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Dropout(0.1),
        nn.Conv2d(width, classes, 1),
    )
