"""The residual networks of 6n + 2 layers for small images (He et al. 2016, section 4.2): 16, 32 and 64 channels."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from mlcvbench.contract import Problem
from mlcvbench_cnn.classifier import ConvolutionalClassifier
from mlcvbench_cnn.widths import scaled_width

WIDTHS = (16, 32, 64)


class Block(nn.Module):
    """y = ReLU(F(x) + shortcut(x)), F = 3x3, norm, ReLU, 3x3, norm.

    Where the size changes, shortcut A takes every second pixel and adds channels of zeros; B is a 1x1 of stride 2.
    """

    def __init__(self, inside: int, outside: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(inside, outside, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(inplace=True),
            nn.Conv2d(outside, outside, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outside),
        )
        self.stride, self.added = stride, outside - inside
        self.project = (
            nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))
            if shortcut == "B" and (stride > 1 or inside != outside)
            else None
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map (B, inside, H, W) to (B, outside, H / stride, W / stride)."""
        return torch.relu(self.residual(images) + self._shortcut(images))

    def _shortcut(self, images: torch.Tensor) -> torch.Tensor:
        if self.project is not None:
            return self.project(images)  # type: ignore[no-any-return]
        if self.stride == 1 and not self.added:
            return images
        return functional.pad(images[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))


class _CifarResNet(ConvolutionalClassifier):
    """Images as they come (`size` = 0); `width` multiplies 16, 32 and 64.

    `zero_init`: the scale of each block's last batch norm starts at 0, else at 1, as in the paper.
    """

    BLOCKS: ClassVar[int]

    def __init__(
        self, problem: Problem, shortcut: str = "A", size: int = 0, width: float = 1.0, zero_init: bool = False
    ) -> None:
        super().__init__(problem, size=size, shortcut=shortcut, width=width, zero_init=zero_init)
        self.shortcut, self.width, self.zero_init = shortcut, width, zero_init

    def network(self, channels: int, classes: int) -> nn.Module:
        widths = [scaled_width(wide, self.width) for wide in WIDTHS]
        layers: list[nn.Module] = [
            nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        ]
        inside = widths[0]
        for stage, outside in enumerate(widths):
            for block in range(self.BLOCKS):
                layers.append(Block(inside, outside, 2 if stage and not block else 1, self.shortcut))
                inside = outside
        module = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, classes))
        for part in module.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(part, Block) and self.zero_init:
                nn.init.zeros_(part.residual.get_parameter("4.weight"))
        return module


class ResNet20(_CifarResNet):
    """n = 3: 20 layers, 269,722 parameters for three channels and ten classes."""

    BLOCKS = 3


class ResNet32(_CifarResNet):
    """n = 5: 32 layers."""

    BLOCKS = 5


class ResNet44(_CifarResNet):
    """n = 7: 44 layers."""

    BLOCKS = 7


class ResNet56(_CifarResNet):
    """n = 9: 56 layers."""

    BLOCKS = 9


class ResNet110(_CifarResNet):
    """n = 18: 110 layers."""

    BLOCKS = 18
