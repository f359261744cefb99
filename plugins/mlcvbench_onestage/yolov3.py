"""YOLOv3 (Redmon and Farhadi 2018): three scales joined by concatenation, three priors a cell, classes by logistics.

Published: `model.backbone=darknet53 model.width=128 model.finest=3 model.priors=coco`; 61,949,149 parameters with 80
classes. `weights=yolov3.weights` then takes darknet's file, of its 80 classes those that the data set has, by name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcvbench.contract import FitContext, FitReport, Notice, Problem, Split
from mlcvbench.errors import RecordError
from mlcvbench_networks.backbone_base import Backbone
from mlcvbench_networks.bases.detector import Detections, Detector
from mlcvbench_networks.bases.network_model import Losses
from mlcvbench_networks.darknet import convolution
from mlcvbench_networks.detection.anchors import by_anchor, points
from mlcvbench_networks.detection.assignment import LEFT_OUT, by_overlap
from mlcvbench_networks.detection.box_coding import cells_of, decode_cells, encode_cells
from mlcvbench_networks.detection.categories import NO_CLASS, Known, coco_categories, known_classes
from mlcvbench_networks.initialisation import prior_bias
from mlcvbench_networks.pyramid import ConcatenatingPyramid
from mlcvbench_onestage.clusters import clusters, shape_iou
from mlcvbench_onestage.darknet_file import SUFFIX, classes_in, read_darknet
from mlcvbench_onestage.levels import Maps, best_of
from mlcvbench_training.padding import SMALLEST
from mlcvbench_training.sample_batch import Objects, SampleBatch
from mlcvbench_training.samples import SPARED as SPARED_COLUMNS

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network

COCO = ((10, 13), (16, 30), (33, 23), (30, 61), (62, 45), (59, 119), (116, 90), (156, 198), (373, 326))
"""Widths and heights in pixels of the nine priors, three a scale (section 2.3)."""
EACH = 3
"""Scales, and priors a cell of each."""
PUBLISHED = {"backbone": "darknet53", "width": 128, "finest": 3}
"""The settings of the network that darknet's files are for."""
SPARED = 0.5
"""The IoU with an object from which on a box that is not its best prior's is not called background (section 2.1)."""


class YOLOv3(Detector):
    """An object is learned by one box: that of the prior most like it in shape, in the cell of its centre."""

    OVERLAP = 0.45

    def __init__(
        self,
        problem: Problem,
        *,
        backbone: str = "small",
        width: int = 32,
        finest: int = 2,
        priors: str = "clusters",
        **further: Any,
    ) -> None:
        super().__init__(problem, backbone=backbone, width=width, finest=finest, priors=priors, **further)
        self.backbone, self.width, self.finest, self.priors = backbone, width, finest, priors
        self.shapes = torch.tensor(COCO, dtype=torch.float32)
        self.strides = [2 ** (finest + scale) for scale in range(EACH)]

    def fit(self, train_split: Split, val: Split | None, ctx: FitContext) -> FitReport:
        if self.priors == "clusters" and len(sizes := sizes_in(train_split.targets())) >= len(COCO):
            self.shapes = clusters(sizes, len(COCO))
        return super().fit(train_split, val, ctx)

    def load(self, folder: Path) -> Sequence[Notice] | None:
        if folder.suffix != SUFFIX or folder.is_dir():
            return super().load(folder)
        asked = {"backbone": self.backbone, "width": self.width, "finest": self.finest}
        if asked != PUBLISHED or self.channels != 3:
            words = " ".join(f"model.{name}={value}" for name, value in PUBLISHED.items())
            raise RecordError(f"{folder.name}: darknet's file is for {words} and images in colour.")
        self.module = network = self.network().to(self.torch_device)
        usual = [name for name in coco_categories() if name not in NO_CLASS]
        count = classes_in(folder, network, len(self.problem.classes), len(usual))
        known = Known.all_of(len(self.problem.classes))
        if count == len(usual):
            known = known_classes(self.problem.classes, usual, folder.name)
        network.load_state_dict(read_darknet(folder, network, known.places, count))
        return known.notices

    def network(self) -> YOLONetwork:
        return YOLONetwork(self.new_backbone(), self.width, self.finest, len(self.problem.classes), self.shapes)

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        maps = network(batch.inputs["image"])
        cells, priors, strides = (torch.cat(level) for level in zip(*self.boxes_of(maps), strict=True))
        said = torch.cat([by_anchor(level, 5 + len(self.problem.classes)) for level in maps], dim=1)  # (B, N, 5 + K)
        boxes = decode_cells(said[..., :4].detach(), cells, priors, strides)
        chosen = torch.stack([self.chosen(*one, maps) for one in zip(boxes, batch.objects, strict=True)])  # (B, N)
        image, place = torch.nonzero(chosen >= 0, as_tuple=True)
        wanted, labels = (
            torch.cat([getattr(own, name)[one[one >= 0]] for own, one in zip(batch.objects, chosen, strict=True)])
            for name in ("boxes", "labels")
        )
        count, learned = max(len(wanted), 1), said[image, place]
        aims = encode_cells(wanted, cells[place], priors[place], strides[place])
        height, width = batch.frame
        small = 2 - (wanted[:, 2:] - wanted[:, :2]).prod(dim=1, keepdim=True) / (height * width)  # weigh more
        centres = _logistic(learned[:, :2], aims[:, :2].clamp(0, 1), small)
        sides = (small * (learned[:, 2:4] - aims[:, 2:]) ** 2).sum() / 2
        objects = _logistic(said[..., 4], (chosen >= 0).to(said), chosen != LEFT_OUT)
        classes = _logistic(learned[:, 5:], functional.one_hot(labels, len(self.problem.classes)).to(said), 1)
        parts = {"boxes": centres + sides, "objects": objects, "classes": classes}
        return {"loss": sum(parts.values(), start=objects.new_zeros(())) / count} | {
            name: part / count for name, part in parts.items()
        }

    def chosen(self, boxes: torch.Tensor, own: Objects, maps: Maps) -> torch.Tensor:
        """Return which object each box (N, 4) of an image learns, int64 (N,): its number, BACKGROUND or LEFT_OUT."""
        chosen = by_overlap(boxes, own.boxes, own.ignored, low=SPARED, high=math.inf, nearest=False)
        priors = self.module.get_buffer("priors")
        best = shape_iou(own.boxes[:, 2:] - own.boxes[:, :2], priors).argmax(dim=1)  # (M,)
        start = 0
        for scale, (level, stride) in enumerate(zip(maps, self.strides, strict=True)):
            grid = (level.shape[2], level.shape[3])
            here = torch.nonzero((best // EACH == scale) & ~own.ignored).squeeze(1)
            x, y = cells_of(own.boxes[here], grid, stride).unbind(dim=1)
            slots = start + (y * grid[1] + x) * EACH + best[here] % EACH
            chosen = chosen.scatter_reduce(0, slots, here, "amax")  # of two objects in one place the later one
            start += grid[0] * grid[1] * EACH
        return chosen

    def decode(self, outputs: Maps) -> Sequence[Detections]:
        levels = []
        for level, (cells, priors, strides) in zip(outputs, self.boxes_of(outputs), strict=True):
            said = by_anchor(level, 5 + len(self.problem.classes))
            probabilities = said[..., 4:].sigmoid()
            levels.append(
                (decode_cells(said[..., :4], cells, priors, strides), probabilities[..., :1] * probabilities[..., 1:])
            )
        return [best_of((boxes[place], scores[place]) for boxes, scores in levels) for place in range(len(outputs[0]))]

    def boxes_of(self, maps: Maps) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Return the cell, the prior and the stride of each box of each scale: (N_i, 2), (N_i, 2), (N_i, 1)."""
        found = []
        for level, stride, priors in zip(
            maps, self.strides, self.module.get_buffer("priors").reshape(EACH, EACH, 2), strict=True
        ):
            cells = points((level.shape[2], level.shape[3]), 1, offset=0).to(level.device).repeat_interleave(EACH, 0)
            found.append((cells, priors.repeat(len(cells) // EACH, 1), torch.full_like(cells[:, :1], stride)))
        return found


class YOLONetwork(nn.Module):
    """A backbone, top-down by concatenation from three of its maps, and a 3x3 and a 1x1 on each."""

    priors: torch.Tensor

    def __init__(self, body: Backbone, width: int, finest: int, classes: int, priors: torch.Tensor) -> None:
        super().__init__()
        self.backbone, self.first = body, finest - 2
        channels = [2 * width * 2**scale for scale in range(EACH)]
        given = body.channels[self.first : self.first + EACH]
        self.inside = nn.ModuleList(
            nn.Identity() if have == want else convolution(have, want, 1)
            for have, want in zip(given, channels, strict=True)
        )
        self.pyramid = ConcatenatingPyramid(channels)
        self.heads = nn.ModuleList(_head(want // 2, classes) for want in channels)
        self.register_buffer("priors", priors)

    def forward(self, images: torch.Tensor) -> Maps:
        maps = self.backbone(images)[self.first : self.first + EACH]
        levels = self.pyramid([inside(level) for inside, level in zip(self.inside, maps, strict=True)])
        return [head(level) for head, level in zip(self.heads, levels, strict=True)]


def sizes_in(targets: Any) -> torch.Tensor:
    """Return (width, height) in pixels of the objects of a split that can be learned, float32 (N, 2)."""
    sizes = [np.zeros((0, 2))]
    for place in range(len(targets["xywh"])):
        spared = np.any([np.asarray(targets[name][place]) for name in SPARED_COLUMNS if name in targets], axis=0)
        own = np.asarray(targets["xywh"][place], dtype=np.float64).reshape(-1, 4)[:, 2:]
        sizes.append(own[(own >= SMALLEST).all(axis=1) & ~spared])
    return torch.from_numpy(np.concatenate(sizes).astype(np.float32))


def _head(width: int, classes: int) -> nn.Sequential:
    last = nn.Conv2d(2 * width, EACH * (5 + classes), 1)
    with torch.no_grad():
        last.bias.view(EACH, -1)[:, 4] = prior_bias(0.01)  # type: ignore[union-attr] # ours: begins with few objects
    return nn.Sequential(convolution(width, 2 * width, 3), last)


def _logistic(logits: torch.Tensor, aims: torch.Tensor, weights: torch.Tensor | int) -> torch.Tensor:
    """Return the sum of cross-entropies of logistics, each times its weight."""
    each = functional.binary_cross_entropy_with_logits(logits, aims, reduction="none")
    return (each * weights).sum()
