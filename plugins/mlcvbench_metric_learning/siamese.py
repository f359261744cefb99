"""A Siamese network (Hadsell, Chopra and LeCun 2006): both images of a pair pass through the same network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from mlcvbench.contract import Problem
from mlcvbench_metric_learning.point_embedder import PointEmbedder
from mlcvbench_networks.bases.network_model import Losses
from mlcvbench_networks.embedding.losses import contrastive, distances
from mlcvbench_training.sample_batch import SampleBatch

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network


class Siamese(PointEmbedder):
    """Learn by the contrastive loss of all pairs of a batch (equation 4), y d^2 + (1 - y) max(0, m - d)^2.

    Each image passes once and is in many pairs, which gives what two passes a pair would. Points have length 1 and
    distances are at most 2.

    `bounded=false` leaves the margin out, y d^2 - (1 - y) d^2, and points have any length, to show why there is one: a
    constant embedding costs 0 (erratum E50), and the loss falls without an end as impostors fly apart (E49). The
    history has the mean distances of `genuine` pairs and of `impostors`.
    """

    DISTANCE = "l2"

    def __init__(
        self, problem: Problem, *, bounded: bool = True, margin: float = 1.0, together: int = 4, **params: Any
    ) -> None:
        super().__init__(problem, bounded=bounded, margin=margin, together=together, **params)
        self.margin, self.TOGETHER, self.UNIT = margin if bounded else None, together, bounded

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        assert batch.labels is not None
        points = network(batch.inputs["image"])
        apart = distances(points.detach())
        same = batch.labels[:, None] == batch.labels[None, :]
        pairs = torch.ones_like(same).triu(1)
        genuine, impostors = (apart[pairs & chosen].mean() for chosen in (same, ~same))
        return {
            "loss": contrastive(points, batch.labels, self.margin),
            "genuine": genuine,
            "impostors": impostors,
        }
