"""Depth in two steps: the whole image to a coarse map through layers that see all of it, then refinement close by.

Eigen, Puhrsch and Fergus, "Depth Map Prediction from a Single Image using a Multi-Scale Deep Network" (2014), figure 1
and table 1. The published one, for images of 228 x 304 pixels: `model.size=[228,304] model.width=96 model.hidden=4096`,
70,757,734 parameters in the coarse network and 119,437 in the fine one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from mlcvbench.contract import Batch, Predictions, Problem
from mlcvbench_networks.bases.depth_network import DepthNetwork
from mlcvbench_networks.bases.network_model import Losses, sizes_of
from mlcvbench_networks.dense.upsampling import bilinear
from mlcvbench_networks.initialisation import he_initialised
from mlcvbench_networks.stereo.losses import silog
from mlcvbench_networks.stereo.warping import sample

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network
    from mlcvbench_training.samples import SampleBatch

STRIDE, FIRST = 4, 5
"""Output i of a row is what is at pixel 4 i + 5: the first layers of both networks see no pixel beyond the border."""
START = 4.0
"""About how many metres are told of every pixel before training."""
SHARE = 0.5
"""The part of the mean error that is forgiven: lambda of equation 4."""


class Eigen(DepthNetwork):
    """log Z on a grid of a quarter of the size; images of all sizes are resized to `size`, for its layers are fixed.

    The paper trains the coarse network first and then, with that fixed, the fine one. Here both learn at once, and
    nothing of the fine one's loss reaches the coarse one.
    """

    MULTIPLE: ClassVar[int] = 1
    CHANNELS_LAST: ClassVar[bool] = False

    def __init__(self, problem: Problem, size: Sequence[int] = (128, 128), width: int = 48, hidden: int = 1024) -> None:
        super().__init__(problem, size=size, width=width, hidden=hidden)
        self.size, self.width, self.hidden = (int(size[0]), int(size[1])), width, hidden

    def network(self) -> nn.Module:
        return CoarseToFine(self.channels, self.size, self.width, self.hidden)

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        images, depth = self._resized(batch)
        coarse, fine = network(images, True)
        rows, columns = fine.shape[2:]
        truth = depth[:, :, FIRST::STRIDE, FIRST::STRIDE][:, :, :rows, :columns]
        first, second = (silog(maps.exp(), truth, truth > 0, SHARE) for maps in (coarse, fine))
        return {"loss": first + second, "coarse": first, "fine": second}

    def preprocess(self, batch: Batch) -> Any:
        images = super().preprocess(batch)
        return resized(images, self.size) if len(images) else images.new_zeros(0, images.shape[1], *self.size)

    def forward(self, inputs: Any) -> torch.Tensor:
        """Return metres float32 (B, 1, height, width) at the working size."""
        return in_place(super().forward(inputs), self.size).exp()

    def postprocess(self, outputs: torch.Tensor, batch: Batch) -> Predictions:
        sizes = sizes_of(batch)  # all alike, for images of one frame are shown together and frames are not padded
        return super().postprocess(bilinear(outputs, sizes[0]) if sizes else outputs, batch)

    def _resized(self, batch: SampleBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return images (B, C, h, w) and depth (B, 1, h, w) of a batch at the working size."""
        images, depth = batch.inputs["image"], batch.maps["depth"][:, None]
        if batch.sizes is None:
            return resized(images, self.size), functional.interpolate(depth, self.size, mode="nearest-exact")
        parts = [
            (
                resized(image[None, :, :height, :width], self.size),
                functional.interpolate(one[None, :, :height, :width], self.size, mode="nearest-exact"),
            )
            for image, one, (height, width) in zip(images, depth, batch.sizes.tolist(), strict=True)
        ]
        seen, known = zip(*parts, strict=True)
        return torch.cat(seen), torch.cat(known)


class CoarseToFine(nn.Module):
    """Layers of figure 1, `width` for its 96 channels. Where sizes leave open how coarse 5 halves them, by a stride."""

    def __init__(self, channels: int, size: tuple[int, int], width: int, hidden: int) -> None:
        super().__init__()
        wide, most, fine = width * 8 // 3, width * 4, max(width * 2 // 3, 2)
        self.features = nn.Sequential(
            nn.Conv2d(channels, width, 11, 4), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(width, wide, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(wide, most, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(most, most, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(most, wide, 3, 2), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.grid = _grid(size)
        with torch.no_grad():
            seen = self.features(torch.zeros(1, channels, *size)).numel()
        cells = self.grid[0] * self.grid[1]
        told, refined = nn.Linear(hidden, cells), nn.Conv2d(fine, 1, 5, padding=2)
        self.whole = nn.Sequential(nn.Linear(seen, hidden), nn.ReLU(inplace=True), nn.Dropout(0.5), told)
        self.edges = nn.Sequential(nn.Conv2d(channels, fine - 1, 9, 2), nn.ReLU(inplace=True), nn.MaxPool2d(2))
        self.refine = nn.Sequential(nn.Conv2d(fine, fine, 5, padding=2), nn.ReLU(inplace=True), refined)
        he_initialised(self)
        nn.init.normal_(refined.weight, std=0.01)
        for last in (told.bias, refined.bias):
            assert last is not None
            nn.init.constant_(last, math.log(START))

    def forward(self, images: torch.Tensor, both: bool = False) -> Any:
        """Map images (B, C, h, w) to log depth (B, 1, rows, columns); with `both`, the coarse one before it."""
        coarse = self.whole(self.features(images).flatten(1)).unflatten(1, (1, *self.grid))
        given = coarse.detach() if self.training else coarse
        fine = self.refine(torch.cat([self.edges(images), given], 1))
        return (coarse, fine) if both else fine


def resized(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return images (B, C, H, W) at a size, without aliasing where it is smaller."""
    if images.shape[2:] == size:
        return images
    return functional.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)


def in_place(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return maps (B, 1, rows, columns) of the grid at every pixel (h, w), those of the border going on beyond it."""
    x, y = ((torch.arange(side, device=maps.device) - FIRST) / STRIDE for side in (size[1], size[0]))
    shape = (len(maps), *size)
    return sample(maps, x.expand(shape), y[:, None].expand(shape)).image if len(maps) else maps.new_zeros(0, 1, *size)


def _grid(size: tuple[int, int]) -> tuple[int, int]:
    """Return rows and columns of the output: those of a 9x9 of stride 2 without padding, pooled by two."""
    rows, columns = (((side - 9) // 2 + 1) // 2 for side in size)
    return rows, columns
