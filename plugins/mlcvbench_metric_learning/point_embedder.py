"""What the embedders here have in common: a backbone cut at a level, seen at one size, ending in a point."""

from __future__ import annotations

from typing import Any

from torch import nn

from mlcvbench.contract import Problem
from mlcvbench_metric_learning.embedding_network import EmbeddingNetwork
from mlcvbench_metric_learning.one_size import OneSize


class PointEmbedder(OneSize):
    """An embedder whose network is an `EmbeddingNetwork`; `level`: C2 to C5, the map that the point is made from.

    `UNIT`: whether the network's outputs have length 1.
    """

    UNIT: bool = False

    def __init__(
        self,
        problem: Problem,
        *,
        size: int = 64,
        level: int = 4,
        dimensions: int = 128,
        dropout: float = 0.0,
        **params: Any,
    ) -> None:
        super().__init__(problem, size=size, level=level, dimensions=dimensions, dropout=dropout, **params)
        self.level, self.dimensions, self.dropout = level, dimensions, dropout

    def network(self) -> nn.Module:
        body = self.new_backbone()
        body.cut(self.level)
        image = (self.channels, self.size, self.size)
        return EmbeddingNetwork(body, image, self.dimensions, unit=self.UNIT, dropout=self.dropout)
