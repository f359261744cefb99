"""A segmenter: a network that gives the logits of each class for each pixel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from mlcvbench.contract import Batch, Predictions
from mlcvbench_networks.bases.dense_model import DenseModel, enlarged
from mlcvbench_networks.bases.network_model import Losses
from mlcvbench_networks.dense.losses import cross_entropy

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network
    from mlcvbench_training.samples import SampleBatch


class Segmenter(DenseModel):
    """Name a class for every pixel. A method writes `network`, whose outputs are logits (B, C, h, w) of any size.

    In training they may be a pair: the second ones are those of an auxiliary classifier, of an earlier map, whose loss
    counts `AUXILIARY` as much and which is not asked later (Zhao et al., "Pyramid Scene Parsing Network", 2017, section
    3.3; the weight is torchvision's).
    """

    SAMPLES: ClassVar[Mapping[str, Any]] = {"maps": ("label_map",)}
    AUXILIARY: ClassVar[float] = 0.5

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        """Return the mean cross-entropy over the pixels that are known, at full size."""
        outputs = network(*(batch.inputs[name] for name in self.INPUTS))
        parts = [
            cross_entropy(enlarged(one, batch.frame), batch.maps["label_map"], ignore=batch.unknown)
            for one in (outputs if isinstance(outputs, tuple) else (outputs,))
        ]
        if len(parts) == 1:
            return parts[0]
        return {"loss": parts[0] + self.AUXILIARY * parts[1], "last": parts[0], "auxiliary": parts[1]}

    def postprocess(self, outputs: torch.Tensor, batch: Batch) -> Predictions:
        kind = torch.uint8 if len(self.problem.classes) <= 256 else torch.int32
        return {"label_map": self.cropped(outputs.argmax(1).to(kind), batch)}
