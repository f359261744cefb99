"""Monocular depth: a network that gives metres for each pixel of one image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from mlcvbench.contract import Batch, Predictions
from mlcvbench_networks.bases.dense_model import DenseModel
from mlcvbench_networks.bases.network_model import Losses
from mlcvbench_networks.stereo.losses import silog

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network
    from mlcvbench_training.samples import SampleBatch


class DepthNetwork(DenseModel):
    """Estimate the depth of every pixel. A method writes `network`, whose outputs are metres (B, 1, h, w), positive."""

    SAMPLES: ClassVar[Mapping[str, Any]] = {"maps": ("depth",)}

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        """Return the scale-invariant logarithmic loss over the pixels whose depth is known."""
        truth = batch.maps["depth"][:, None]
        return silog(self.answers(network, batch), truth, truth > 0)

    def postprocess(self, outputs: torch.Tensor, batch: Batch) -> Predictions:
        return {"depth": self.cropped(outputs[:, 0], batch)}
