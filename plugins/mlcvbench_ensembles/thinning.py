"""Networks whose dropout masks are drawn once and kept. Imports torch: load it lazily."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from mlcvbench.errors import RequestError
from mlcvbench_ensembles.committee import log_mean_softmax

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


class Mask(nn.Module):
    """Dropout masks that a seed, a layer's number and `draw` decide; of whole channels where the layer drops those."""

    def __init__(self, layer: _DropoutNd, number: int) -> None:
        super().__init__()
        self.share: float = layer.p
        self.channels = not isinstance(layer, nn.Dropout)
        self.number, self.seed, self.draw = number, 0, 0

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        shape = list(features.shape[1:])
        if self.channels:
            shape[1:] = [1] * (len(shape) - 1)
        state = np.random.SeedSequence([self.seed, self.number, self.draw]).generate_state(1)[0]
        drawn = torch.rand(shape, generator=torch.Generator().manual_seed(int(state)))
        kept = (drawn >= self.share).to(features.device, features.dtype)
        return features * kept / (1 - self.share) if self.share < 1 else features * 0


class Thinned(nn.Module):
    """The log of the mean softmax output of `samples` draws. RequestError when `network`, called `name`, drops nothing.

    The parameters are the network's own; the seed of the masks is stored with them.
    """

    seed: torch.Tensor

    def __init__(self, network: nn.Module, name: str, samples: int, seed: int) -> None:
        super().__init__()
        self.network, self.samples = network, samples
        self.register_buffer("seed", torch.tensor(seed))
        layers = [(path, layer) for path, layer in network.named_modules() if isinstance(layer, DROPOUTS) and layer.p]
        if not layers:
            raise RequestError(
                f"model {name!r} has no dropout, so mc_dropout has nothing to draw; use one such as [mlp,dropout=0.5]."
            )
        self.masks = [Mask(layer, number) for number, (_, layer) in enumerate(layers)]
        for (path, _), mask in zip(layers, self.masks, strict=True):
            parent, _, child = path.rpartition(".")
            setattr(network.get_submodule(parent), child, mask)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map inputs to log probabilities (B, C)."""
        logits = []
        for draw in range(self.samples):
            for mask in self.masks:
                mask.seed, mask.draw = int(self.seed), draw
            logits.append(self.network(inputs))
        return log_mean_softmax(logits)
