"""Dilated residual networks (Yu, Koltun and Funkhouser, CVPR 2017): strides become dilations, gridding is smoothed out.

Published: `model.backbone=torchvision:resnet50 model.stride=8 model.degridding=[]` is DRN-A-50, whose classifier of 21
classes leaves 23,551,061 parameters; `model.degridding=[2,2,1,1]` appends what DRN-C has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from mlcvbench.contract import Problem
from mlcvbench_fcn.dilated import DilatedSegmenter


class DilatedResNet(DilatedSegmenter):
    """A 1x1 convolution says the classes on the backbone's last map.

    `degridding`: before it, 3x3 convolutions with these distances between their taps, without shortcuts, the last ones
    close (section 4.2): what dilation leaves of a regular grid would otherwise stay in the answers.
    """

    def __init__(self, problem: Problem, degridding: Sequence[int] = (2, 1), **further: Any) -> None:
        super().__init__(problem, degridding=degridding, **further)
        self.degridding = degridding

    def classifier(self, channels: int) -> nn.Module:
        parts: list[nn.Module] = []
        for rate in self.degridding:
            parts += [
                nn.Conv2d(channels, channels, 3, padding=rate, dilation=rate, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
            ]
        return nn.Sequential(*parts, nn.Conv2d(channels, len(self.problem.classes), 1))
