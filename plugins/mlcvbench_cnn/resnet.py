"""Residual networks (He et al. 2016) and their kin: ResNeXt (Xie et al. 2017) and SE-ResNet (Hu et al. 2018).

The blocks are timm's; width, stem and the place of a bottleneck's stride are to choose. Unless told otherwise, the
scale of each block's last batch norm starts at zero, so that a block starts as the identity (Goyal et al. 2017).
Nothing else does: where all weights of a branch are zero, they get no gradient.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, ClassVar

from mlcvbench.contract import Problem
from mlcvbench_cnn.classifier import ConvolutionalClassifier
from mlcvbench_cnn.limits import BASE_WIDTHS, check_groups
from mlcvbench_cnn.widths import scaled_width

if TYPE_CHECKING:
    from torch import nn

WIDTHS = (64, 128, 256, 512)


class _ResNet(ConvolutionalClassifier):
    """`stem`: `imagenet` (7x7 stride 2, then a pool) or `small` (3x3, for images of about 28 to 64 pixels).

    `zero_init`: the scale of each block's last batch norm starts at 0, else at 1. `stride`: which convolution of a
    bottleneck halves the maps, `3x3` (v1.5, as torchvision's and timm's weights want it; 6 % more multiply-adds) or the
    first `1x1` (v1, the paper's); basic blocks have no choice.
    """

    BLOCK: ClassVar[str] = "Bottleneck"
    LAYERS: ClassVar[tuple[int, int, int, int]]
    EXTRA: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        problem: Problem,
        size: int = 224,
        width: float = 1.0,
        stem: str = "imagenet",
        dropout: float = 0.0,
        zero_init: bool = True,
        stride: str = "3x3",
    ) -> None:
        super().__init__(
            problem, size=size, width=width, stem=stem, dropout=dropout, zero_init=zero_init, stride=stride
        )
        self.width, self.stem, self.dropout = width, stem, dropout
        self.zero_init, self.stride = zero_init, stride

    def network(self, channels: int, classes: int) -> nn.Module:
        from timm.models import resnet
        from torch import nn

        widths = [scaled_width(wide, self.width) for wide in WIDTHS]
        if "base_width" in self.EXTRA:
            check_groups(self._name, self.width, self.EXTRA["base_width"])
        block = getattr(resnet, self.BLOCK)
        layers = self._stem(channels, widths[0])
        inside = widths[0]
        for number, (planes, depth) in enumerate(zip(widths, self.LAYERS, strict=True), start=1):
            stage = _stage(block, inside, planes, depth, 1 if number == 1 else 2, self.EXTRA)
            layers.append((f"layer{number}", stage))
            inside = planes * block.expansion
        head = [("pool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten()), ("dropout", nn.Dropout(self.dropout))]
        network = nn.Sequential(OrderedDict([*layers, *head, ("fc", nn.Linear(inside, classes))]))
        for part in network.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(part, block):
                if self.zero_init:
                    part.zero_init_last()
                if self.stride == "1x1":
                    part.conv1.stride, part.conv2.stride = part.conv2.stride, part.conv1.stride
        return network

    def _stem(self, channels: int, width: int) -> list[tuple[str, nn.Module]]:
        from torch import nn

        small = self.stem == "small"
        convolution = nn.Conv2d(channels, width, 3 if small else 7, 1 if small else 2, 1 if small else 3, bias=False)
        pool = [] if small else [("maxpool", nn.MaxPool2d(3, 2, padding=1))]
        return [("conv1", convolution), ("bn1", nn.BatchNorm2d(width)), ("relu", nn.ReLU(inplace=True)), *pool]


def _stage(block: Any, inside: int, planes: int, depth: int, stride: int, extra: dict[str, Any]) -> nn.Sequential:
    """Return `depth` blocks; the first changes the size, with a 1x1 convolution on its shortcut where it must."""
    from torch import nn

    outside = planes * block.expansion
    shortcut = None
    if stride != 1 or inside != outside:
        shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))
    first = block(inside, planes, stride, shortcut, **extra)
    return nn.Sequential(first, *(block(outside, planes, **extra) for _ in range(depth - 1)))


class ResNet18(_ResNet):
    """Basic blocks 2-2-2-2; 11,689,512 parameters at 1,000 classes."""

    BLOCK, LAYERS = "BasicBlock", (2, 2, 2, 2)


class ResNet34(_ResNet):
    """Basic blocks 3-4-6-3."""

    BLOCK, LAYERS = "BasicBlock", (3, 4, 6, 3)


class ResNet50(_ResNet):
    """Bottlenecks 3-4-6-3; 25,557,032 parameters."""

    LAYERS = (3, 4, 6, 3)


class ResNet101(_ResNet):
    """Bottlenecks 3-4-23-3."""

    LAYERS = (3, 4, 23, 3)


class ResNet152(_ResNet):
    """Bottlenecks 3-8-36-3."""

    LAYERS = (3, 8, 36, 3)


class ResNeXt50(_ResNet):
    """ResNet-50 whose 3x3 convolutions have 32 groups of 4 channels (32x4d)."""

    LAYERS = (3, 4, 6, 3)
    EXTRA: ClassVar[dict[str, Any]] = {"cardinality": 32, "base_width": BASE_WIDTHS["resnext50"]}


class ResNeXt101(_ResNet):
    """ResNet-101 whose 3x3 convolutions have 32 groups of 8 channels (32x8d)."""

    LAYERS = (3, 4, 23, 3)
    EXTRA: ClassVar[dict[str, Any]] = {"cardinality": 32, "base_width": BASE_WIDTHS["resnext101"]}


class SENet18(_ResNet):
    """ResNet-18 with squeeze and excitation in each block; the squeeze keeps C / 16 channels, as in timm at least 8."""

    BLOCK, LAYERS = "BasicBlock", (2, 2, 2, 2)
    EXTRA: ClassVar[dict[str, Any]] = {"attn_layer": "se"}


class SENet50(_ResNet):
    """ResNet-50 with squeeze and excitation (reduction 16) before each addition; 28,088,024 parameters."""

    LAYERS = (3, 4, 6, 3)
    EXTRA: ClassVar[dict[str, Any]] = {"attn_layer": "se"}
