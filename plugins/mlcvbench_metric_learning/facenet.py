"""FaceNet (Schroff, Kalenichenko and Philbin 2015): a person's images are nearer each other than anyone else's are.

Published: `facenet_nn1`, 220 pixels and 128 numbers (`zeiler_fergus`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from mlcvbench.contract import Problem
from mlcvbench_metric_learning.one_size import OneSize
from mlcvbench_metric_learning.point_embedder import PointEmbedder
from mlcvbench_metric_learning.zeiler_fergus import NN1
from mlcvbench_networks.bases.network_model import Losses
from mlcvbench_networks.embedding.losses import semi_hard, triplet_semi_hard
from mlcvbench_training.sample_batch import SampleBatch

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network


class Triplets(OneSize):
    """Learn by the semi-hard triplets of each batch of P people with K images (sections 3.1, 3.2).

    Points have length 1, so that cosine orders pairs as the paper's squared distance does. `triplets` of the history is
    how many a batch had: at 0 nothing is learned any more.
    """

    def __init__(self, problem: Problem, *, margin: float = 0.2, together: int = 4, **params: Any) -> None:
        super().__init__(problem, margin=margin, together=together, **params)
        self.margin, self.TOGETHER = margin, together

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        assert batch.labels is not None
        points = network(batch.inputs["image"])
        found = semi_hard(points, batch.labels, self.margin)
        return {
            "loss": triplet_semi_hard(points, batch.labels, self.margin),
            "triplets": points.new_tensor(float(len(found))),
        }


class FaceNet(Triplets, PointEmbedder):
    """With any backbone."""

    UNIT = True


class FaceNetNN1(Triplets):
    """With the paper's network NN1."""

    CHANNELS_LAST = False

    def __init__(self, problem: Problem, *, size: int = 220, dimensions: int = 128, **params: Any) -> None:
        super().__init__(problem, size=size, dimensions=dimensions, **params)
        self.dimensions = dimensions

    def network(self) -> nn.Module:
        return NN1(self.channels, self.size, self.dimensions)
