"""CenterNet (Zhou et al. 2019): an object is a peak of its class's heat map; the cell there tells its box.

Published with ResNet-18: `model.backbone=torchvision:resnet18 model.width=256 model.skips=false model.boxes=l1`, plain
for deformable layers; 15,820,372 parameters with 80 classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from mlcvbench.contract import Problem
from mlcvbench_networks.backbone_base import Backbone
from mlcvbench_networks.bases.detector import Detections, Detector
from mlcvbench_networks.bases.network_model import Losses
from mlcvbench_networks.detection.assignment import cells_near, heat_maps
from mlcvbench_networks.detection.box_coding import LARGEST, Centres, decode_centres, encode_centres
from mlcvbench_networks.detection.losses import giou, heat_map_focal, smooth_l1
from mlcvbench_networks.detection.proposals import heat_map_peaks
from mlcvbench_networks.initialisation import set_prior
from mlcvbench_training.sample_batch import SampleBatch

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network

STRIDE = 4
HEAD = 64
"""Channels between the two convolutions of a head."""
SIZES = 0.1
"""The weight of sizes beside that of offsets (equation 4), for sizes in cells are large numbers."""
GIOU = 2.0
"""The weight of boxes learned by GIoU beside the heat map."""


class CenterNet(Detector):
    """A peak that no neighbour exceeds is an object, so nothing is suppressed.

    `boxes`: with `l1` sizes and offsets are numbers of cells, each learned by its L1 at the peak (the paper); with
    `giou` sizes are e^x and the boxes at the peak and the eight cells around it are learned, in far fewer steps.
    """

    OVERLAP = None

    def __init__(
        self, problem: Problem, *, width: int = 64, skips: bool = True, boxes: str = "giou", **further: Any
    ) -> None:
        super().__init__(problem, width=width, skips=skips, boxes=boxes, **further)
        self.width, self.skips, self.boxes = width, skips, boxes

    def network(self) -> nn.Module:
        return CenterNetwork(self.new_backbone(), self.width, len(self.problem.classes), skips=self.skips)

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        heat, sizes, offsets = network(batch.inputs["image"])  # (B, K, h, w), (B, 2, h, w), (B, 2, h, w)
        grid = (heat.shape[2], heat.shape[3])
        peaks = heat_map_focal(heat, heat_maps(batch.objects, heat.shape[1], grid, STRIDE))
        reach = 1 if self.boxes == "giou" else 0
        said, boxes = [], []
        for own, size, offset in zip(batch.objects, sizes, offsets, strict=True):
            truth = own.boxes[~own.ignored]
            cells, owner = cells_near(truth, grid, STRIDE, reach)
            said.append(self.centres(size, offset, cells))
            boxes.append(truth[owner])
        found, wanted = Centres(*(torch.cat(part) for part in zip(*said, strict=True))), torch.cat(boxes)
        count = len(wanted)
        if self.boxes == "giou":
            overlaps = giou(decode_centres(found, STRIDE), wanted, count)
            return {"loss": peaks + GIOU * overlaps, "heat_map": peaks, "boxes": overlaps}
        true = encode_centres(wanted, grid, STRIDE)
        wide, away = smooth_l1(found.sizes, true.sizes, count, 0), smooth_l1(found.offsets, true.offsets, count, 0)
        return {"loss": peaks + SIZES * wide + away, "heat_map": peaks, "sizes": wide, "offsets": away}

    def decode(self, outputs: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> Sequence[Detections]:
        return [self.found_in(heat.sigmoid(), *boxes) for heat, *boxes in zip(*outputs, strict=True)]

    def found_in(self, heat: torch.Tensor, sizes: torch.Tensor, offsets: torch.Tensor) -> Detections:
        """Return the objects of one image, by probabilities (K, h, w) and what is said in each cell, (2, h, w)."""
        peaks = heat_map_peaks(heat, self.MOST)
        return Detections(decode_centres(self.centres(sizes, offsets, peaks.cells), STRIDE), peaks.scores, peaks.labels)

    def centres(self, sizes: torch.Tensor, offsets: torch.Tensor, cells: torch.Tensor) -> Centres:
        """Return what maps (2, h, w) say at cells (N, 2)."""
        size, offset = (said[:, cells[:, 1], cells[:, 0]].T for said in (sizes, offsets))
        return Centres(cells, offset, size.clamp(max=LARGEST).exp() if self.boxes == "giou" else size)


class CenterNetwork(nn.Module):
    """A backbone, three layers that double its coarsest map to stride 4, and three heads."""

    def __init__(self, body: Backbone, width: int, classes: int, *, skips: bool) -> None:
        super().__init__()
        self.backbone = body
        *finer, coarsest = body.channels
        self.doubling = nn.ModuleList(_doubling(inside, width) for inside in (coarsest, width, width))
        self.skips = nn.ModuleList(nn.Conv2d(inside, width, 1) for inside in reversed(finer)) if skips else None
        self.heat, self.sizes, self.offsets = (_head(width, outputs) for outputs in (classes, 2, 2))
        set_prior(self.heat[-1], 0.1)  # type: ignore[arg-type]

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        *finer, map_ = self.backbone(images)
        for place, (double, level) in enumerate(zip(self.doubling, reversed(finer), strict=True)):
            map_ = double(map_) + (0 if self.skips is None else self.skips[place](level))
        return self.heat(map_), self.sizes(map_), self.offsets(map_)


def _head(width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, HEAD, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(HEAD, outputs, 1))


def _doubling(inside: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(inside, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
    )
