"""VGG (Simonyan and Zisserman 2015): stages of 3x3 convolutions, a pool after each, three fully connected layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlcvbench.contract import Problem
from mlcvbench_cnn.classifier import ConvolutionalClassifier
from mlcvbench_cnn.fully_connected import HIDDEN, with_head
from mlcvbench_cnn.limits import VGG_SIDE
from mlcvbench_cnn.settings import PLAIN_FIT
from mlcvbench_cnn.widths import scaled_width
from mlcvbench_training.settings import Settings

if TYPE_CHECKING:
    from torch import nn

WIDTHS = (64, 128, 256, 512, 512)  # the last stage does not double


class _VGG(ConvolutionalClassifier):
    """`batch_norm` puts a norm after each convolution: without it the deep ones hardly train from scratch."""

    STAGES: ClassVar[tuple[int, int, int, int, int]]
    SMALLEST: ClassVar[int] = VGG_SIDE
    FIT: ClassVar[Settings] = PLAIN_FIT

    def __init__(
        self,
        problem: Problem,
        batch_norm: bool = False,
        size: int = 224,
        width: float = 1.0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(problem, size=size, batch_norm=batch_norm, width=width, dropout=dropout)
        self.batch_norm, self.width, self.dropout = batch_norm, width, dropout

    def network(self, channels: int, classes: int) -> nn.Module:
        from torch import nn

        layers: list[nn.Module] = []
        inside = channels
        for depth, wide in zip(self.STAGES, WIDTHS, strict=True):
            outside = scaled_width(wide, self.width)
            for _ in range(depth):
                norm = [nn.BatchNorm2d(outside)] if self.batch_norm else []
                layers += [nn.Conv2d(inside, outside, 3, padding=1), *norm, nn.ReLU(inplace=True)]
                inside = outside
            layers.append(nn.MaxPool2d(2))
        hidden = scaled_width(HIDDEN, self.width)
        return with_head(nn.Sequential(*layers), (channels, *self.input_size), classes, hidden, self.dropout)


class VGG11(_VGG):
    """Configuration A: 8 convolutions."""

    STAGES = (1, 1, 2, 2, 2)


class VGG13(_VGG):
    """Configuration B: 10 convolutions."""

    STAGES = (2, 2, 2, 2, 2)


class VGG16(_VGG):
    """Configuration D: 13 convolutions; 138,357,544 parameters at 224 pixels and 1,000 classes."""

    STAGES = (2, 2, 3, 3, 3)


class VGG19(_VGG):
    """Configuration E: 16 convolutions."""

    STAGES = (2, 2, 4, 4, 4)
