"""The sliding window: classify the window around every pixel, each by itself.

As Ciresan et al., "Deep neural networks segment neuronal membranes" (NeurIPS 2012), section 2: what fully convolutional
networks are measured against. Neighbouring windows share nothing, so each pixel of the image passes through the network
as often as a window sees it; `model.step=1` asks at every pixel, the default at every fourth in both directions.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

from mlcvbench.contract import Problem
from mlcvbench_fcn.limits import check_window
from mlcvbench_fcn.settings import WINDOW_FIT
from mlcvbench_networks.bases.network_model import Losses
from mlcvbench_networks.bases.segmenter import Segmenter
from mlcvbench_networks.dense.losses import cross_entropy
from mlcvbench_networks.dense.upsampling import nearest
from mlcvbench_networks.initialisation import he_initialised

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network
    from mlcvbench_training.sample_batch import SampleBatch

MOST = 1024
"""Windows that pass through the network at once."""


class PatchWindow(Segmenter):
    """A small network sees `window` pixels a side around a pixel and names its class.

    `step`: pixels between the windows of an image to be answered; `upsampling` fills in between. `windows`: drawn from
    an image in a step of the training, at pixels whose class is known. The image is continued by its last pixels.
    """

    FIT = WINDOW_FIT

    def __init__(
        self,
        problem: Problem,
        window: int = 32,
        step: int = 4,
        windows: int = 32,
        width: int = 24,
        upsampling: str = "nearest",
    ) -> None:
        check_window(window, step)
        super().__init__(problem, window=window, step=step, windows=windows, width=width, upsampling=upsampling)
        self.window, self.step, self.windows, self.width, self.upsampling = window, step, windows, width, upsampling

    def network(self) -> nn.Module:
        return WindowNetwork(
            self.channels, len(self.problem.classes), self.window, self.step, self.width, self.upsampling
        )

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        """Return the mean cross-entropy over windows drawn evenly from the pixels that are known."""
        images, labels = batch.inputs["image"], batch.maps["label_map"]
        size = (len(images), self.windows)
        rows, columns = (torch.randint(side, size, generator=generator).to(labels.device) for side in batch.frame)
        wanted = labels.gather(1, rows[:, :, None].expand(-1, -1, labels.shape[2])).gather(2, columns[:, :, None])
        logits = network(images, torch.stack((rows, columns), dim=2))  # (B n, classes)
        return cross_entropy(logits[:, :, None, None], wanted.reshape(-1, 1, 1), ignore=batch.unknown)


class WindowNetwork(nn.Module):
    """Three convolutions with pooling between them and two fully-connected layers, on windows of an image."""

    def __init__(self, channels: int, classes: int, window: int, step: int, width: int, upsampling: str) -> None:
        super().__init__()
        self.window, self.step, self.upsampling, self.count = window, step, upsampling, classes
        parts: list[nn.Module] = []
        for inside, outside in pairwise((channels, width, 2 * width, 4 * width)):
            parts += [
                nn.Conv2d(inside, outside, 3, padding=1, bias=False),
                nn.BatchNorm2d(outside),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(2),
            ]
        self.features = he_initialised(nn.Sequential(*parts))
        cells = (window // 8) ** 2
        self.classes = nn.Sequential(
            nn.Flatten(), nn.Linear(4 * width * cells, 4 * width), nn.ReLU(inplace=True), nn.Linear(4 * width, classes)
        )

    def forward(self, images: torch.Tensor, places: torch.Tensor | None = None) -> torch.Tensor:
        """Map images (B, C, H, W) and places (B, n, 2), row and column, to logits (B n, classes).

        Without places to (B, classes, H / step, W / step), those of the pixels in the middle of each step, or, with
        nearest neighbours, to (B, classes, H, W).
        """
        if places is not None:
            return self.named(torch.cat([*self._at(images, places)]))
        count, _, height, width = images.shape
        before = self.window // 2 - self.step // 2
        windows = self._continued(images, before).unfold(2, self.window, self.step).unfold(3, self.window, self.step)
        rows, columns = height // self.step, width // self.step
        windows = windows[:, :, :rows, :columns]  # (B, C, h, w, S, S), a view
        lines = max(1, MOST // max(1, count * columns))
        answers = []
        for first in range(0, rows, lines):
            some = windows[:, :, first : first + lines].permute(0, 2, 3, 1, 4, 5)  # (B, l, w, C, S, S)
            answers.append(self.named(some.flatten(0, 2)).reshape(count, some.shape[1], columns, self.count))
        grid = torch.cat(answers, dim=1).permute(0, 3, 1, 2)  # (B, classes, h, w)
        return nearest(grid, (height, width)) if self.upsampling == "nearest" else grid

    def named(self, windows: torch.Tensor) -> torch.Tensor:
        """Map windows (N, C, S, S) to logits (N, classes)."""
        return self.classes(self.features(windows))  # type: ignore[no-any-return]

    def _at(self, images: torch.Tensor, places: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield the windows (n, C, S, S) around places (n, 2) of each image."""
        continued = self._continued(images, self.window // 2)
        for image, own in zip(continued, places.tolist(), strict=True):
            yield torch.stack([image[:, row : row + self.window, left : left + self.window] for row, left in own])

    def _continued(self, images: torch.Tensor, before: int) -> torch.Tensor:
        """Return images with so many pixels before the first and a window's less these after the last."""
        after = self.window - before
        return nn.functional.pad(images, (before, after, before, after), mode="replicate")
