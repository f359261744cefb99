"""MobileNets: stacks of depthwise separable convolutions (v1, Howard et al. 2017) and torchvision's v3 (2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlcvbench.contract import Problem
from mlcvbench_cnn.classifier import ConvolutionalClassifier
from mlcvbench_cnn.widths import scaled_width

if TYPE_CHECKING:
    from torch import nn

PLAN = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1),
)  # fmt: skip
"""Channels and stride of the thirteen separable convolutions (paper, table 1)."""


class MobileNetV1(ConvolutionalClassifier):
    """4,231,976 parameters and 568,740,352 MACs at 224 pixels; `width` is the paper's alpha.

    `stem`: `imagenet` (stride 2) or `small` (stride 1, and 1 in the first convolution of the body that has 2 otherwise,
    so that maps are halved three times and not five).
    """

    def __init__(
        self, problem: Problem, size: int = 224, width: float = 1.0, stem: str = "imagenet", dropout: float = 0.0
    ) -> None:
        super().__init__(problem, size=size, width=width, stem=stem, dropout=dropout)
        self.width, self.stem, self.dropout = width, stem, dropout

    def network(self, channels: int, classes: int) -> nn.Module:
        from torch import nn

        inside = scaled_width(32, self.width)
        layers = _normed(nn.Conv2d(channels, inside, 3, 2 if self.stem == "imagenet" else 1, 1, bias=False))
        kept = 0 if self.stem == "imagenet" else 1
        for wide, stride in PLAN:
            outside = scaled_width(wide, self.width)
            if stride == 2 and kept:
                stride, kept = 1, kept - 1  # noqa: PLW2901 - the plan's stride, unless the image is small
            layers += _normed(nn.Conv2d(inside, inside, 3, stride, 1, groups=inside, bias=False))
            layers += _normed(nn.Conv2d(inside, outside, 1, bias=False))
            inside = outside
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(self.dropout), nn.Linear(inside, classes)]
        return nn.Sequential(*layers, *head)


class _MobileNetV3(ConvolutionalClassifier):
    """`stem`: `imagenet` (stride 2) or `small` (stride 1)."""

    BUILDER: ClassVar[str]

    def __init__(
        self, problem: Problem, size: int = 224, width: float = 1.0, stem: str = "imagenet", dropout: float = 0.2
    ) -> None:
        super().__init__(problem, size=size, width=width, stem=stem, dropout=dropout)
        self.width, self.stem, self.dropout = width, stem, dropout

    def network(self, channels: int, classes: int) -> nn.Module:
        from torch import nn
        from torchvision import models

        network: nn.Module = getattr(models, self.BUILDER)(
            weights=None, num_classes=classes, width_mult=self.width, dropout=self.dropout
        )
        if channels != 3 or self.stem == "small":
            stride = 2 if self.stem == "imagenet" else 1
            width = network.get_parameter("features.0.0.weight").shape[0]
            fresh = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
            nn.init.kaiming_normal_(fresh.weight, mode="fan_out")
            network.get_submodule("features.0")[0] = fresh  # type: ignore[operator]
        return network


class MobileNetV3Large(_MobileNetV3):
    """5,483,032 parameters and 216,589,760 MACs at 224 pixels."""

    BUILDER = "mobilenet_v3_large"


class MobileNetV3Small(_MobileNetV3):
    """2,542,856 parameters and 56,510,400 MACs at 224 pixels."""

    BUILDER = "mobilenet_v3_small"


def _normed(convolution: nn.Conv2d) -> list[nn.Module]:
    from torch import nn

    return [convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU(inplace=True)]
