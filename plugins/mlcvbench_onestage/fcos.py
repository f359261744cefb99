"""FCOS (Tian et al. 2019): each point inside an object tells how far its sides are, and how central it is.

Published: `model.backbone=torchvision:resnet50 model.width=256 model.levels=[3,7] model.beyond=pyramid model.layers=4`;
32,322,720 parameters with 91 classes and `model.scales=false`, as torchvision's, and one more a level with them. It
takes torchvision's checkpoint as `weights=FILE`: its distances are the positive outputs themselves, its scores roots.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from mlcvbench.contract import Problem
from mlcvbench_networks.backbone_base import Backbone
from mlcvbench_networks.bases.detector import Detections
from mlcvbench_networks.bases.network_model import Losses
from mlcvbench_networks.bases.torchvision_detector import corners_of
from mlcvbench_networks.detection.anchors import by_anchor, points
from mlcvbench_networks.detection.assignment import by_centre, classes_of, level_reach
from mlcvbench_networks.detection.box_coding import LARGEST, centreness, decode_sides, encode_sides
from mlcvbench_networks.detection.losses import focal, giou
from mlcvbench_networks.initialisation import head_initialised, set_prior
from mlcvbench_networks.pyramid import Extra
from mlcvbench_onestage.levels import Body, Levels, Maps, best_of, strides_of, tower
from mlcvbench_onestage.limits import check_levels
from mlcvbench_onestage.torchvision_file import OneStageOfTorchvision
from mlcvbench_training.sample_batch import SampleBatch

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network

FARTHEST = 8
"""Strides of a level within which the farthest side of its objects is: 64 pixels at level 3, 128 at level 4 ..."""


class FCOS(OneStageOfTorchvision):
    """The score of a class is its probability times the point's centreness (section 3)."""

    OVERLAP = 0.6
    HEADS = (
        (re.compile(r"^head\.classification_head\.conv\."), "class_tower."),
        (re.compile(r"^head\.regression_head\.conv\."), "box_tower."),
        (re.compile(r"^head\.classification_head\.cls_logits\."), "classes."),
        (re.compile(r"^head\.regression_head\.bbox_reg\."), "boxes."),
        (re.compile(r"^head\.regression_head\.bbox_ctrness\."), "middles."),
    )
    EACH = 1
    PUBLISHED = (
        "model.backbone=torchvision:resnet50 model.width=256 model.levels=[3,7] model.layers=4 model.beyond=pyramid"
    )

    def __init__(
        self,
        problem: Problem,
        *,
        width: int = 64,
        levels: Sequence[int] = (2, 5),
        beyond: Extra = "pyramid",
        layers: int = 2,
        scales: bool = True,
        **further: Any,
    ) -> None:
        check_levels("fcos", levels)
        super().__init__(problem, width=width, levels=levels, beyond=beyond, layers=layers, scales=scales, **further)
        self.body, self.layers, self.scales = Body(width, levels, beyond), layers, scales
        self.strides = strides_of(levels)

    def renamed(self, given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        ones = {"scales": torch.ones(len(self.strides))} if self.scales else {}  # torchvision has none
        return {**super().renamed(given), **ones}

    def network(self) -> nn.Module:
        return FCOSNetwork(self.new_backbone(), self.body, self.layers, len(self.problem.classes), scales=self.scales)

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        outputs = network(batch.inputs["image"])
        logits, logarithms, middles = (
            torch.cat([by_anchor(level, width) for level in maps], dim=1)
            for maps, width in zip(outputs, (len(self.problem.classes), 4, 1), strict=True)
        )  # (B, N, K), (B, N, 4), (B, N, 1)
        at, strides = (torch.cat(level) for level in zip(*self.points(outputs[0]), strict=True))  # (N, 2), (N, 1)
        reach = level_reach([FARTHEST * stride for stride in self.strides[:-1]], [m[0, 0].numel() for m in outputs[0]])
        reach = reach.to(at.device)
        chosen = [by_centre(at, strides[:, 0], reach, own.boxes, own.ignored) for own in batch.objects]
        classes = [classes_of(one, own.labels) for one, own in zip(chosen, batch.objects, strict=True)]
        wanted = torch.cat([own.boxes[one[one >= 0]] for one, own in zip(chosen, batch.objects, strict=True)])
        image, point = torch.nonzero(torch.stack(chosen) >= 0, as_tuple=True)
        here, count = at[point], len(wanted)
        boxes = decode_sides(distances(logarithms[image, point]), here, strides[point])
        found, sides = focal(logits.flatten(0, 1), torch.cat(classes)), giou(boxes, wanted, count)
        central = functional.binary_cross_entropy_with_logits(
            middles[image, point, 0], centreness(encode_sides(wanted, here)), reduction="sum"
        ) / max(count, 1)
        return {"loss": found + sides + central, "classes": found, "boxes": sides, "centreness": central}

    def decode(self, outputs: tuple[Maps, Maps, Maps]) -> Sequence[Detections]:
        levels = []
        for (at, stride), logits, logarithms, middles in zip(self.points(outputs[0]), *outputs, strict=True):
            scores = by_anchor(logits, len(self.problem.classes)).sigmoid() * by_anchor(middles, 1).sigmoid()
            said = by_anchor(logarithms, 4)
            sides = said.relu() if self.as_torchvisions else distances(said)
            levels.append((decode_sides(sides, at, stride), scores.sqrt() if self.as_torchvisions else scores))
        return [
            best_of((boxes[place], scores[place]) for boxes, scores in levels) for place in range(len(outputs[0][0]))
        ]

    def points(self, maps: Maps) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return the places (N_i, 2) of the cells of each level, and their strides (N_i, 1)."""
        grids = [(m.shape[2], m.shape[3]) for m in maps]
        if self.as_torchvisions:
            at = corners_of(grids, self.strides)
        else:
            at = [points(grid, stride) for grid, stride in zip(grids, self.strides, strict=True)]
        at = [one.to(maps[0].device) for one in at]
        return [(one, torch.full_like(one[:, :1], stride)) for one, stride in zip(at, self.strides, strict=True)]


def distances(logarithms: torch.Tensor) -> torch.Tensor:
    """Return how far sides are in strides, by outputs (..., 4) of any sign: e^x."""
    return logarithms.clamp(max=LARGEST).exp()


class FCOSNetwork(Levels):
    """Levels of a pyramid and two towers: for classes, and for the sides with the centreness beside them."""

    def __init__(self, backbone: Backbone, body: Body, layers: int, classes: int, *, scales: bool) -> None:
        super().__init__(backbone, body)
        self.class_tower, self.box_tower = (tower(body.width, layers, normed=True) for _ in range(2))
        self.classes, self.boxes, self.middles = (
            nn.Conv2d(body.width, outputs, 3, padding=1) for outputs in (classes, 4, 1)
        )
        for part in (self.class_tower, self.box_tower, self.classes, self.boxes, self.middles):
            head_initialised(part)
        set_prior(self.classes)
        self.scales = nn.Parameter(torch.ones(len(strides_of(body.levels)))) if scales else None

    def forward(self, images: torch.Tensor) -> tuple[Maps, Maps, Maps]:
        maps = self.levels(images)
        at = [self.box_tower(level) for level in maps]
        sides = [self.boxes(level) for level in at]
        if self.scales is not None:
            sides = [scale * level for scale, level in zip(self.scales, sides, strict=True)]
        return [self.classes(self.class_tower(level)) for level in maps], sides, [self.middles(level) for level in at]
