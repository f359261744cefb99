"""Stereo: a network that gives the disparity of each pixel of the left image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch.nn import functional

from mlcvbench.contract import Batch, Predictions
from mlcvbench.errors import DataError
from mlcvbench_networks.arithmetic import mean_over
from mlcvbench_networks.bases.dense_model import DenseModel
from mlcvbench_networks.bases.network_model import Losses

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network
    from mlcvbench_training.samples import SampleBatch

SMALLEST = 1 / 256
"""Pixels of the least disparity that is told; 0 would mean that there is no estimate."""


class StereoNetwork(DenseModel):
    """Match two rectified views. A method writes `network`, called with the left and the right images.

    Its outputs are disparities (B, 1, h, w) in pixels of the images, whatever the size of the map.
    """

    INPUTS: ClassVar[tuple[str, ...]] = ("left", "right")
    SAMPLES: ClassVar[Mapping[str, Any]] = {"maps": ("disparity",)}

    @property
    def levels(self) -> int:
        """One more than the largest disparity, in whole pixels, that the data set expects; DataError without that."""
        told = self.problem.extra.get("disparities")
        if told is None:
            raise DataError(
                f"{type(self).__name__}: wanted problem.extra['disparities'], the search range in pixels, got nothing; "
                "the data set must say it."
            )
        return int(told)

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        """Return the smooth L1 distance, as mean over the pixels whose disparity is known."""
        found, truth = self.answers(network, batch), batch.maps["disparity"][:, None]
        return mean_over(functional.smooth_l1_loss(found, truth, reduction="none"), truth > 0)

    def postprocess(self, outputs: torch.Tensor, batch: Batch) -> Predictions:
        return {"disparity": self.cropped(outputs[:, 0].clamp(min=SMALLEST), batch)}
