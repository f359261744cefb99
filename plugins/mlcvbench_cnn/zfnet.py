"""ZFNet (Zeiler and Fergus 2014): AlexNet in one tower with a finer first layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlcvbench.contract import Problem
from mlcvbench_cnn.classifier import ConvolutionalClassifier
from mlcvbench_cnn.fully_connected import HIDDEN, with_head
from mlcvbench_cnn.limits import ZFNET_SIDE
from mlcvbench_cnn.settings import PLAIN_FIT
from mlcvbench_cnn.widths import scaled_width
from mlcvbench_training.settings import Settings

if TYPE_CHECKING:
    from torch import nn

CHANNELS = (96, 256, 384, 384, 256)


class ZFNet(ConvolutionalClassifier):
    """AlexNet in one tower with a first layer 7x7 and second 5x5 of stride 2: maps 110, 55, 26, 13, 6."""

    SMALLEST: ClassVar[int] = ZFNET_SIDE
    FIT: ClassVar[Settings] = PLAIN_FIT

    def __init__(self, problem: Problem, size: int = 224, width: float = 1.0, dropout: float = 0.5) -> None:
        super().__init__(problem, size=size, width=width, dropout=dropout)
        self.width, self.dropout = width, dropout

    def network(self, channels: int, classes: int) -> nn.Module:
        from torch import nn

        c1, c2, c3, c4, c5 = (scaled_width(c, self.width) for c in CHANNELS)
        features = nn.Sequential(
            nn.Conv2d(channels, c1, 7, 2, 1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, padding=1),
            nn.Conv2d(c1, c2, 5, 2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, padding=1),
            nn.Conv2d(c2, c3, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(c3, c4, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(c4, c5, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
        )
        hidden = scaled_width(HIDDEN, self.width)
        return with_head(features, (channels, *self.input_size), classes, hidden, self.dropout)
