"""What bases share whose networks answer every pixel: outputs of any size become maps of the images' sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from mlcvbench.contract import Array, Batch
from mlcvbench_networks.arithmetic import in_full
from mlcvbench_networks.bases.network_model import NetworkModel, sizes_of
from mlcvbench_networks.dense.upsampling import bilinear

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network
    from mlcvbench_training.samples import SampleBatch


class DenseModel(NetworkModel):
    """A model of maps. The network's outputs (B, C, h, w) are brought to the images' size bilinearly.

    They are taken to cover the frame evenly, which they do when `MULTIPLE` is one of the network's stride.
    """

    def forward(self, inputs: Any) -> torch.Tensor:
        """Return the outputs float32 (B, C, H, W) in the frame of the images."""
        seen = inputs[0] if isinstance(inputs, tuple) else inputs
        return enlarged(super().forward(inputs), seen.shape[-2:])

    def answers(self, network: Network, batch: SampleBatch) -> torch.Tensor:
        """Return the outputs for a batch of samples, as `forward` does: float32 (B, C, H, W)."""
        return enlarged(network(*(batch.inputs[name] for name in self.INPUTS)), batch.frame)

    def cropped(self, maps: torch.Tensor, batch: Batch) -> Array | list[Array]:
        """Return maps (B, H, W) of the frame in the sizes of the images: one array where these are equal."""
        sizes, arrays = sizes_of(batch, self.INPUTS[0]), maps.detach().cpu().numpy()
        if not sizes:
            return []
        if len(set(sizes)) == 1:
            height, width = sizes[0]
            return arrays[:, :height, :width]
        return [own[:height, :width] for own, (height, width) in zip(arrays, sizes, strict=True)]


def enlarged(outputs: torch.Tensor, frame: torch.Size | tuple[int, int]) -> torch.Tensor:
    """Return outputs (B, C, h, w) as float32 (B, C, H, W)."""
    size = int(frame[0]), int(frame[1])
    outputs = in_full(outputs)
    return outputs if outputs.shape[2:] == size or not len(outputs) else bilinear(outputs, size)
