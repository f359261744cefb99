"""RetinaNet (Lin et al. 2017): anchors on a pyramid, two heads shared by its levels, and the focal loss.

Published: `model.backbone=torchvision:resnet50 model.width=256 model.levels=[3,7] model.layers=4 model.anchor=4`; 800
pixels and 91 classes need 34,068,119 parameters with `model.beyond=pyramid`, which is torchvision's, where the paper
makes level 6 from the backbone's last map. The latter takes torchvision's checkpoint as `weights=FILE`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from mlcvbench.contract import Problem
from mlcvbench_networks.backbone_base import Backbone
from mlcvbench_networks.bases.torchvision_detector import CornerLayout, without_epsilon
from mlcvbench_networks.initialisation import head_initialised, set_prior
from mlcvbench_networks.pyramid import Extra
from mlcvbench_onestage.anchored import ANCHORS, AnchoredDetector, layout_of
from mlcvbench_onestage.levels import Body, Levels, Maps, tower
from mlcvbench_onestage.limits import check_levels
from mlcvbench_onestage.torchvision_file import OneStageOfTorchvision


class RetinaNet(AnchoredDetector, OneStageOfTorchvision):
    """The focal loss and the smooth L1 have equal weights; anchors at an IoU of 0.4 to 0.5 learn nothing."""

    HEADS = (
        (re.compile(r"^head\.classification_head\.conv\.(\d)\.0\."), lambda found: f"classes.{2 * int(found[1])}."),
        (re.compile(r"^head\.regression_head\.conv\.(\d)\.0\."), lambda found: f"boxes.{2 * int(found[1])}."),
        (re.compile(r"^head\.classification_head\.conv\."), "classes."),  # of earlier versions, with the ReLUs counted
        (re.compile(r"^head\.regression_head\.conv\."), "boxes."),
        (re.compile(r"^head\.classification_head\.cls_logits\."), "classes.8."),
        (re.compile(r"^head\.regression_head\.bbox_reg\."), "boxes.8."),
    )
    EACH = ANCHORS
    PUBLISHED = (
        "model.backbone=torchvision:resnet50 model.width=256 model.levels=[3,7] model.layers=4 model.beyond=pyramid"
    )

    def __init__(
        self,
        problem: Problem,
        *,
        width: int = 64,
        levels: Sequence[int] = (2, 5),
        beyond: Extra = "backbone",
        layers: int = 2,
        anchor: float = 3.0,
        **further: Any,
    ) -> None:
        check_levels("retinanet", levels)
        super().__init__(problem, width=width, levels=levels, beyond=beyond, layers=layers, anchor=anchor, **further)
        self.body, self.layers = Body(width, levels, beyond), layers
        self.layout = layout_of(levels, anchor)

    def see_as_torchvision(self, given: Mapping[str, torch.Tensor]) -> None:
        self.layout = CornerLayout.retinanet(self.layout.strides)
        without_epsilon(self.module.backbone, given)  # type: ignore[arg-type]

    def network(self) -> nn.Module:
        return RetinaNetwork(self.new_backbone(), self.body, self.layers, len(self.problem.classes))


class RetinaNetwork(Levels):
    """Levels of a pyramid and two heads of equal form, for K classes and four deltas of each anchor."""

    def __init__(self, backbone: Backbone, body: Body, layers: int, classes: int) -> None:
        super().__init__(backbone, body)
        self.classes, self.boxes = (
            nn.Sequential(*tower(body.width, layers), nn.Conv2d(body.width, ANCHORS * each, 3, padding=1))
            for each in (classes, 4)
        )
        for head in (self.classes, self.boxes):
            head_initialised(head)
        set_prior(self.classes[-1])  # type: ignore[arg-type]

    def forward(self, images: torch.Tensor) -> tuple[Maps, Maps]:
        maps = self.levels(images)
        return [self.classes(level) for level in maps], [self.boxes(level) for level in maps]
