"""GoogLeNet as its paper's table 1 has it (Szegedy et al. 2015): nine inception modules, biases, no batch norm."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import nn

from mlcvbench.contract import Problem
from mlcvbench_cnn.classifier import ConvolutionalClassifier
from mlcvbench_cnn.inception import Inception, Plan, convolution, tapped
from mlcvbench_cnn.initialisation import he_initialised
from mlcvbench_cnn.settings import PLAIN_FIT
from mlcvbench_cnn.widths import scaled_width
from mlcvbench_training.settings import Settings

STAGES = (
    (Plan(64, 96, 128, 16, 32, 32), Plan(128, 128, 192, 32, 96, 64)),
    (
        Plan(192, 96, 208, 16, 48, 64),
        Plan(160, 112, 224, 24, 64, 64),
        Plan(128, 128, 256, 24, 64, 64),
        Plan(112, 144, 288, 32, 64, 64),
        Plan(256, 160, 320, 32, 128, 128),
    ),
    (Plan(256, 160, 320, 32, 128, 128), Plan(384, 192, 384, 48, 128, 128)),
)
"""Modules 3a-3b, 4a-4e and 5a-5b; a 3x3 pool of stride 2 stands between two stages."""
TAPPED = (3, 6)
"""The auxiliary classifiers see the outputs of 4a and 4d."""


class GoogLeNet(ConvolutionalClassifier):
    """The 2014 network: 6,998,552 parameters and 1,582,671,872 MACs at 224 pixels and 1,000 classes.

    `auxiliary`: train with the two auxiliary classifiers, whose losses weigh 0.3 each; they are dropped after the fit.
    `stem`: `imagenet` (stride 8 in all) or `small` (one 3x3 convolution, for images of about 28 to 64 pixels).
    """

    FIT: ClassVar[Settings] = PLAIN_FIT

    def __init__(
        self,
        problem: Problem,
        auxiliary: bool = False,
        batch_norm: bool = False,
        size: int = 224,
        width: float = 1.0,
        stem: str = "imagenet",
        dropout: float = 0.4,
    ) -> None:
        super().__init__(
            problem, size=size, auxiliary=auxiliary, batch_norm=batch_norm, width=width, stem=stem, dropout=dropout
        )
        self.auxiliary, self.batch_norm, self.width = auxiliary, batch_norm, width
        self.stem, self.dropout = stem, dropout

    def network(self, channels: int, classes: int) -> nn.Module:
        stem, inside = self._stem(channels)
        layers: list[tuple[str, nn.Module]] = [*stem]
        number = 0
        for place, stage in enumerate(STAGES):
            if place:
                layers.append((f"pool{place + 2}", nn.MaxPool2d(3, 2, padding=1)))
            for plan in stage:
                number += 1
                thin = Plan(*(scaled_width(wide, self.width) for wide in plan))
                layers.append((f"incep{number}", Inception(inside, thin, self.batch_norm)))
                inside = thin.out
        layers += [
            ("avgpool", nn.AdaptiveAvgPool2d(1)),
            ("flatten", nn.Flatten()),
            ("dropout", nn.Dropout(self.dropout)),
        ]
        return he_initialised(nn.Sequential(OrderedDict([*layers, ("fc1", nn.Linear(inside, classes))])))

    def _stem(self, channels: int) -> tuple[list[tuple[str, nn.Module]], int]:
        c1, c3 = scaled_width(64, self.width), scaled_width(192, self.width)
        if self.stem == "small":
            return [("conv1", convolution(channels, c3, 3, batch_norm=self.batch_norm))], c3
        return [
            ("conv1", convolution(channels, c1, 7, 2, self.batch_norm)),
            ("pool1", nn.MaxPool2d(3, 2, padding=1)),
            ("conv2", convolution(c1, c1, 1, batch_norm=self.batch_norm)),
            ("conv3", convolution(c1, c3, 3, batch_norm=self.batch_norm)),
            ("pool2", nn.MaxPool2d(3, 2, padding=1)),
        ], c3

    @contextmanager
    def training_form(self, module: nn.Module) -> Iterator[nn.Module]:
        if not self.auxiliary:
            yield module
            return
        names = [f"incep{number}" for number in TAPPED]
        image = torch.zeros(1, self.channels, *self.input_size, device=next(module.parameters()).device)
        with tapped(module, names, image, len(self.problem.classes)) as trained:
            yield trained
