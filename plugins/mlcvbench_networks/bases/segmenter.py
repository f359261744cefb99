"""A segmenter: a network that gives the logits of each class for each pixel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from mlcvbench.contract import Batch, Predictions
from mlcvbench_networks.bases.dense_model import DenseModel
from mlcvbench_networks.bases.network_model import Losses
from mlcvbench_networks.dense.losses import cross_entropy

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network
    from mlcvbench_training.samples import SampleBatch


class Segmenter(DenseModel):
    """Name a class for every pixel. A method writes `network`, whose outputs are logits (B, C, h, w) of any size."""

    SAMPLES: ClassVar[Mapping[str, Any]] = {"maps": ("label_map",)}

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        """Return the mean cross-entropy over the pixels that are known, at full size."""
        return cross_entropy(self.answers(network, batch), batch.maps["label_map"], ignore=batch.unknown)

    def postprocess(self, outputs: torch.Tensor, batch: Batch) -> Predictions:
        kind = torch.uint8 if len(self.problem.classes) <= 256 else torch.int32
        return {"label_map": self.cropped(outputs.argmax(1).to(kind), batch)}
