"""A small convolutional network: ([conv 3x3, norm, ReLU] x 2, pool 2x2) a stage, global average, linear."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlcvbench.contract import Problem
from mlcvbench.errors import DataError
from mlcvbench_cnn.classifier import ConvolutionalClassifier
from mlcvbench_cnn.initialisation import he_initialised
from mlcvbench_cnn.settings import SMALL_CNN_FIT
from mlcvbench_training.settings import Settings

if TYPE_CHECKING:
    from torch import nn


class SmallCNN(ConvolutionalClassifier):
    """Classify images of at least 2^stages pixels per side; stage s (0-based) has width * 2^s channels.

    `norm`: `batch`, `layer` (over all features of an image), `channels` (over the channels of each place) or `none`,
    with which the first weights are He's. `pool`: `max` or `average`.
    """

    FIT: ClassVar[Settings] = SMALL_CNN_FIT

    def __init__(
        self,
        problem: Problem,
        width: int = 16,
        stages: int = 3,
        dropout: float = 0.0,
        norm: str = "batch",
        pool: str = "max",
    ) -> None:
        super().__init__(problem, width=width, stages=stages, dropout=dropout, norm=norm, pool=pool)
        self.width, self.stages, self.dropout, self.norm, self.pool = width, stages, dropout, norm, pool

    @property
    def smallest(self) -> int:
        return 1 << self.stages  # 2^stages

    def check_size(self) -> None:
        """Refuse images too small for the stages: DataError. Those of unknown size are taken as they come."""
        height, width = self.problem.inputs["image"].shape[:2]  # (H, W[, 3])
        if min(self.smallest if side is None else side for side in (height, width)) < self.smallest:
            raise DataError(
                f"small_cnn: {self.stages} stages need images of at least {self.smallest} pixels per side, "
                f"got {height}x{width}; set a smaller model.stages."
            )

    def network(self, channels: int, classes: int) -> nn.Module:
        from torch import nn

        inside = channels
        layers: list[nn.Module] = []
        for stage in range(self.stages):
            width = self.width * 2**stage
            pool = nn.MaxPool2d(2) if self.pool == "max" else nn.AvgPool2d(2)
            layers += [*_convolution(inside, width, self.norm), *_convolution(width, width, self.norm), pool]
            inside = width
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(self.dropout)]
        network = nn.Sequential(*layers, *head, nn.Linear(inside, classes))
        if self.norm == "none":
            he_initialised(network)  # with torch's own weights the signal fades, and nothing is learned
        return network


def _convolution(channels: int, width: int, norm: str) -> list[nn.Module]:
    """Return a 3x3 convolution, the norm and ReLU; a norm has a bias, so that the convolution needs none."""
    from torch import nn

    convolution = nn.Conv2d(channels, width, 3, padding=1, bias=norm == "none")
    return [convolution, *_norm(norm, width), nn.ReLU(inplace=True)]


def _norm(norm: str, width: int) -> list[nn.Module]:
    """Return the norm for maps (B, width, H, W), with a scale and a bias a channel; none is an empty list."""
    from torch import nn

    if norm == "none":
        return []
    if norm == "batch":
        return [nn.BatchNorm2d(width)]
    if norm == "layer":
        return [nn.GroupNorm(1, width)]  # one group: mean and variance over (C, H, W) of each image
    from timm.layers.norm import LayerNorm2d

    return [LayerNorm2d(width)]
