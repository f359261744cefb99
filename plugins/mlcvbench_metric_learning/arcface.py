"""ArcFace (Deng et al. 2019): identities are classes, and the true one must win by an angle.

Published: `arcface_r100`, 112 pixels and 512 numbers, s = 64 and m = 0.5. It reads a checkpoint of these layers as
`weights=FILE`, see `iresnet`. For ten thousands of people s = 64 is right; of 120 people a network learns from scratch
only with a smaller one, since with s = 64 it first makes all cosines 0 and stays there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from mlcvbench.contract import Problem
from mlcvbench_metric_learning.iresnet import IResNet
from mlcvbench_metric_learning.limits import check_size
from mlcvbench_metric_learning.one_size import OneSize
from mlcvbench_metric_learning.point_embedder import PointEmbedder
from mlcvbench_networks.bases.network_model import Losses
from mlcvbench_networks.embedding.arcface import ArcFace
from mlcvbench_training.sample_batch import SampleBatch

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network


class AngularMargin(OneSize):
    """Learn with logits s cos(theta), and s cos(theta + m) for the true class (equation 3); compare by cosine.

    The class weights are learned beside the network and are not stored: people that are tested are none of the classes.
    """

    TOGETHER = 0

    def __init__(
        self, problem: Problem, *, dimensions: int, scale: float = 64.0, margin: float = 0.5, **params: Any
    ) -> None:
        super().__init__(problem, dimensions=dimensions, scale=scale, margin=margin, **params)
        self.dimensions, self.scale, self.margin = dimensions, scale, margin

    def head(self, identities: int) -> nn.Module:
        return ArcFace(self.dimensions, identities, self.scale, self.margin)

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        assert self.beside is not None
        loss: torch.Tensor = self.beside(network(batch.inputs["image"]), batch.labels)
        return loss


class ArcFaceEmbedder(AngularMargin, PointEmbedder):
    """With any backbone."""


class ArcFaceResNet(AngularMargin):
    """With the paper's residual network of `DEPTH` layers."""

    DEPTH: ClassVar[int]

    def __init__(
        self, problem: Problem, *, size: int = 112, dimensions: int = 512, dropout: float = 0.0, **params: Any
    ) -> None:
        check_size(f"arcface_r{self.DEPTH}", size)
        super().__init__(problem, size=size, dimensions=dimensions, dropout=dropout, **params)
        self.dropout = dropout

    def network(self) -> nn.Module:
        return IResNet(self.DEPTH, self.channels, self.size, self.dimensions, self.dropout)


class ArcFaceR18(ArcFaceResNet):
    """18 layers."""

    DEPTH = 18


class ArcFaceR34(ArcFaceResNet):
    """34 layers."""

    DEPTH = 34


class ArcFaceR50(ArcFaceResNet):
    """50 layers."""

    DEPTH = 50


class ArcFaceR100(ArcFaceResNet):
    """100 layers."""

    DEPTH = 100
