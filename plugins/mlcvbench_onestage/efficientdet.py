"""EfficientDet (Tan et al. 2020): a weighted pyramid both ways, separable heads, and one number that scales it all.

Published, D0 for one: `model.backbone=timm:tf_efficientnet_b0 model.levels=[3,7] model.anchor=4`, at 512 pixels
3,877,763 parameters with 90 classes. Images are not resized; `mlcvbench_networks.widths` has the sizes that go with D1
and D2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from mlcvbench.contract import Problem
from mlcvbench_networks.backbone_base import Backbone
from mlcvbench_networks.initialisation import set_prior
from mlcvbench_networks.pyramid import BiFPN
from mlcvbench_networks.widths import EFFICIENTDET, Scale
from mlcvbench_onestage.anchored import ANCHORS, AnchoredDetector, layout_of
from mlcvbench_onestage.levels import Maps, strides_of
from mlcvbench_onestage.limits import check_levels


class EfficientDet(AnchoredDetector):
    """`SCALE`: channels and cells of the pyramid and layers of the heads grow together (section 4.2, table 1).

    Its loss is 50 times Huber's of delta 0.1 over four numbers a box: 50 x 0.1 / 4 of the smooth L1.
    """

    SCALE: ClassVar[Scale]
    GAMMA, BOXES = 1.5, 1.25

    def __init__(
        self, problem: Problem, *, levels: Sequence[int] = (2, 6), anchor: float = 3.0, **further: Any
    ) -> None:
        check_levels("efficientdet", levels, (6, 7))
        super().__init__(problem, levels=levels, anchor=anchor, **further)
        self.levels = levels
        self.layout = layout_of(levels, anchor)

    def network(self) -> nn.Module:
        return EfficientDetNetwork(self.new_backbone(), self.SCALE, self.levels, len(self.problem.classes))


class EfficientDetD0(EfficientDet):
    """EfficientNet-B0, 64 channels, 3 cells, 3 layers."""

    SCALE = EFFICIENTDET[0]


class EfficientDetD1(EfficientDet):
    """EfficientNet-B1, 88 channels, 4 cells, 3 layers."""

    SCALE = EFFICIENTDET[1]


class EfficientDetD2(EfficientDet):
    """EfficientNet-B2, 112 channels, 5 cells, 3 layers."""

    SCALE = EFFICIENTDET[2]


class EfficientDetNetwork(nn.Module):
    """A backbone, a BiFPN from the finest level to the coarsest, and a head for classes and one for boxes."""

    def __init__(self, backbone: Backbone, scale: Scale, levels: Sequence[int], classes: int) -> None:
        super().__init__()
        self.first, count = levels[0] - 2, len(strides_of(levels))
        self.backbone = backbone
        self.pyramid = BiFPN(backbone.channels[self.first :], scale.width, scale.cells, count)
        self.classes, self.boxes = (Head(scale, count, ANCHORS * outputs) for outputs in (classes, 4))
        set_prior(self.classes.output[-1])  # type: ignore[arg-type]

    def forward(self, images: torch.Tensor) -> tuple[Maps, Maps]:
        maps = self.pyramid(self.backbone(images)[self.first :])
        return self.classes(maps), self.boxes(maps)


class Head(nn.Module):
    """Separable convolutions that all levels share, with swish; each level has batch norms of its own."""

    def __init__(self, scale: Scale, levels: int, outputs: int) -> None:
        super().__init__()
        width = scale.width
        self.layers = nn.ModuleList(_separable(width, width, bias=False) for _ in range(scale.layers))
        self.norms = nn.ModuleList(
            nn.ModuleList(nn.BatchNorm2d(width, eps=1e-3, momentum=0.01) for _ in self.layers) for _ in range(levels)
        )
        self.output = _separable(width, outputs, bias=True)

    def forward(self, maps: Maps) -> Maps:
        outputs = []
        for level, norms in zip(maps, self.norms, strict=True):
            for layer, norm in zip(self.layers, norms, strict=True):  # type: ignore[call-overload]
                level = nn.functional.silu(norm(layer(level)))  # noqa: PLW2901 - the same map, one layer further
            outputs.append(self.output(level))
        return outputs


def _separable(inside: int, outside: int, *, bias: bool) -> nn.Sequential:
    """Return a 3x3 by channel and a 1x1 across them."""
    return nn.Sequential(
        nn.Conv2d(inside, inside, 3, padding=1, groups=inside, bias=False), nn.Conv2d(inside, outside, 1, bias=bias)
    )
