"""DeepFace (Taigman, Yang, Ranzato and Wolf 2014): an aligned face, two convolutions and three layers without sharing.

Published: `model.size=152 model.kernels=[11,9,9,7,5] model.widths=[32,16] model.dimensions=4096`; 102,412,864
parameters, and 118,923,774 with the layer of 4,030 classes, which is learned and not stored ("more than 120 million").
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcvbench.contract import FitContext, FitReport, Notice, Problem, Split
from mlcvbench_metric_learning.alignment import SIDE, aligned, mean_face
from mlcvbench_metric_learning.limits import maps_of
from mlcvbench_metric_learning.local_layer import LocallyConnected
from mlcvbench_metric_learning.one_size import OneSize
from mlcvbench_metric_learning.weighted_distance import learn_weights
from mlcvbench_networks.bases.network_model import Losses
from mlcvbench_training.sample_batch import SampleBatch

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network

READ = 256
"""Images embedded at once after the training."""
MEANT = 2000
"""Images at most of which the mean face is taken."""
LEAST = 0.05
"""The largest value of a feature that is divided by (section 3.3)."""


class DeepFace(OneSize):
    """Learn to classify the training people; compare by a weighted L1 distance that is learned after it.

    Features are divided by their largest value among the training images and brought to length 1 (section 3.3). The
    weights of sum_k alpha_k |f_k - g_k| (section 4.2) are part of the embedding alpha_k f_k, so that it is compared by
    plain L1. `align`: whether faces are brought onto the mean training face first, see `alignment`.
    """

    TOGETHER = 0
    DISTANCE = "l1"
    CHANNELS_LAST = False

    def __init__(
        self,
        problem: Problem,
        *,
        size: int = 48,
        kernels: Sequence[int] = (5, 3, 3, 3, 3),
        widths: Sequence[int] = (16, 16),
        dimensions: int = 256,
        dropout: float = 0.5,
        align: bool = True,
    ) -> None:
        super().__init__(
            problem,
            size=size,
            kernels=kernels,
            widths=widths,
            dimensions=dimensions,
            dropout=dropout,
            align=align,
        )
        self.kernels, self.widths, self.dimensions = kernels, widths, dimensions
        self.dropout, self.align = dropout, align
        self._mean: torch.Tensor | None = None

    def network(self) -> nn.Module:
        return DeepFaceNetwork(self.channels, self.size, self.kernels, self.widths, self.dimensions, self.dropout)

    def head(self, identities: int) -> nn.Module:
        return nn.Linear(self.dimensions, identities)

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        assert self.beside is not None
        assert batch.labels is not None
        return functional.cross_entropy(self.beside(network(batch.inputs["image"])), batch.labels)

    def fit(self, train_split: Split, val: Split | None, ctx: FitContext) -> FitReport:
        self._mean = None
        if self.align:
            some = train_split.take(np.unique(np.linspace(0, len(train_split) - 1, MEANT).round().astype(np.int64)))
            self._mean = mean_face(torch.cat([self.preprocess(batch) for batch in some.inputs(READ)]))
        report = super().fit(train_split, val, ctx)
        network = cast("DeepFaceNetwork", self.module)
        features, identities = [], []
        with torch.no_grad():
            for batch, targets in train_split.batches(READ):
                features.append(network.features(self.preprocess(batch)))
                identities.append(np.asarray(targets["identity"]))
            found = torch.cat(features)
            network.largest.copy_(found.amax(0).clamp(min=LEAST))
            points = network.normalised(found).cpu().numpy()
            alpha = learn_weights(points, np.concatenate(identities), np.random.default_rng(ctx.seed))
            network.alpha.copy_(torch.from_numpy(alpha))
        return report

    def build(self) -> nn.Module:
        module = super().build()
        if self._mean is not None:
            cast("DeepFaceNetwork", module).mean.copy_(self._mean)
        return module

    def load(self, folder: Path) -> Sequence[Notice] | None:
        notices = super().load(folder)
        self._mean = cast("DeepFaceNetwork", self.module).mean if self.align else None
        return notices

    def squares(self, images: torch.Tensor) -> torch.Tensor:
        """Return images as (B, C, size, size), on the mean face once there is one."""
        shown = super().squares(images)
        return shown if self._mean is None or not len(shown) else aligned(shown, self._mean.to(shown.device))


class DeepFaceNetwork(nn.Module):
    """C1, M2, C3, L4, L5, L6 and F7 of figure 2: features in training, afterwards embeddings.

    After M2 nothing is pooled: pooling loses where something is.
    """

    mean: torch.Tensor
    largest: torch.Tensor
    alpha: torch.Tensor

    def __init__(
        self,
        channels: int,
        size: int,
        kernels: Sequence[int],
        widths: Sequence[int],
        dimensions: int,
        dropout: float,
    ) -> None:
        super().__init__()
        first, other = widths
        sides = maps_of(size, kernels)
        locals_ = (
            LocallyConnected(other, other, kernel, (side, side), stride)
            for kernel, side, stride in zip(kernels[2:], sides[1:4], (1, 2, 1), strict=True)
        )
        self.layers = nn.Sequential(
            nn.Conv2d(channels, first, kernels[0]),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(first, other, kernels[1]),
            nn.ReLU(inplace=True),
            *(part for layer in locals_ for part in (layer, nn.ReLU(inplace=True))),
            nn.Flatten(),
            nn.Linear(other * sides[-1] ** 2, dimensions),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
        )
        self.register_buffer("mean", torch.zeros(SIDE, SIDE))
        self.register_buffer("largest", torch.ones(dimensions))
        self.register_buffer("alpha", torch.ones(dimensions))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = self.features(images)
        return found if self.training else self.normalised(found) * self.alpha

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return G, what F7 gives, (B, D), none below 0."""
        return self.layers(images)  # type: ignore[no-any-return]

    def normalised(self, found: torch.Tensor) -> torch.Tensor:
        """Return f = G' / |G'| with G'_k = G_k / largest_k."""
        return functional.normalize(found.float() / self.largest, dim=1)
