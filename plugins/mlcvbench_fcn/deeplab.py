"""DeepLabv3 (Chen et al., arXiv 1706.05587): atrous spatial pyramid pooling on a dilated residual network.

Published: `model.backbone=torchvision:resnet50 model.stride=8 model.width=256 model.rates=[12,24,36]
model.dropout=0.5`; 21 classes need 39,638,869 parameters, 42,004,074 with `model.auxiliary=true`. It takes
torchvision's checkpoint of `deeplabv3_resnet50` as `weights=FILE`, with resnet101 that of `deeplabv3_resnet101`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from mlcvbench.contract import Problem
from mlcvbench_fcn.torchvision_file import TakesTorchvisions
from mlcvbench_networks.dense.aspp import ASPP


class DeepLab(TakesTorchvisions):
    """Section 3.3: 3x3 convolutions with taps at several distances, a 1x1 and the mean of the map, side by side.

    The head is torchvision's, with a 3x3 more than the paper's before the 1x1 that says the classes.
    """

    PUBLISHED = (
        "model.backbone=torchvision:resnet50 or resnet101, model.stride=8, model.width=256 and model.rates=[12,24,36]"
    )

    def __init__(
        self,
        problem: Problem,
        width: int = 64,
        rates: Sequence[int] = (3, 6, 9),
        dropout: float = 0.1,
        **further: Any,
    ) -> None:
        super().__init__(problem, width=width, rates=rates, dropout=dropout, **further)
        self.width, self.rates, self.dropout = width, rates, dropout

    def classifier(self, channels: int) -> nn.Module:
        return nn.Sequential(
            ASPP(channels, self.rates, self.width, dropout=self.dropout),
            nn.Conv2d(self.width, self.width, 3, padding=1, bias=False),
            nn.BatchNorm2d(self.width),
            nn.ReLU(inplace=True),
            nn.Conv2d(self.width, len(self.problem.classes), 1),
        )
