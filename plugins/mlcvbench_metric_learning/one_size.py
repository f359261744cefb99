"""Images of any size as the squares that a network with a fixed number of cells sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from mlcvbench.contract import Batch, Problem
from mlcvbench_networks.bases.embedder import Embedder, IdentityObjective
from mlcvbench_training.padding import resized

if TYPE_CHECKING:
    from mlcvbench_training.objective import Chosen
    from mlcvbench_training.samples import DenseSamples, SampleBatch
    from mlcvbench_training.settings import NetworkSettings


class OneSize(Embedder):
    """An embedder that sees every image as `size` x `size` pixels, in training and after it; its shape may change.

    Pixels are interpolated bilinearly, and averaged where the image shrinks.
    """

    def __init__(self, problem: Problem, *, size: int, **params: Any) -> None:
        super().__init__(problem, size=size, **params)
        self.size = size

    def objective(self, samples: DenseSamples, settings: NetworkSettings) -> IdentityObjective:
        return SquareObjective(self, samples, settings)

    def preprocess(self, batch: Batch) -> torch.Tensor:
        column = batch.inputs["image"]
        if not isinstance(column, list) or not column:
            return self.squares(self._shown(column, self.channels))
        return torch.cat([self.squares(self._shown(image[None], self.channels)) for image in column])

    def _frames(self, batch: Batch) -> list[tuple[tuple[int, int], ...]]:
        """Return the same for all: whatever their sizes, images are seen together."""
        return [((self.size, self.size),)] * len(batch.inputs["image"])

    def squares(self, images: torch.Tensor) -> torch.Tensor:
        """Return images (B, C, H, W) as (B, C, size, size)."""
        return resized(images, (self.size, self.size))


class SquareObjective(IdentityObjective):
    """Samples come as squares, each image made one by itself, before they are changed at random."""

    model: OneSize

    def read(self, chosen: Sequence[Chosen]) -> Iterator[SampleBatch]:
        for batch in super().read(chosen):
            images = batch.inputs["image"]
            if batch.sizes is None:
                shown = self.model.squares(images)
            else:
                own = zip(images, batch.sizes.tolist(), strict=True)
                shown = torch.cat([self.model.squares(one[None, :, :high, :wide]) for one, (high, wide) in own])
            yield replace(batch, inputs={"image": shown}, sizes=None)
