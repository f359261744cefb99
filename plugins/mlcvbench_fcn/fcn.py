"""Fully convolutional networks (Long, Shelhamer and Darrell, CVPR 2015): FCN-32s, FCN-16s and FCN-8s.

Published: `model.width=64 model.layers=[2,2,3,3,3] model.hidden=4096 model.dropout=0.5 model.normed=false
model.zoom=1`, which is VGG-16; 21 classes need 136,152,917, 134,815,994 and 134,489,759 parameters. The fit may then
start from torchvision's `vgg16` as `model.backbone_weights=FILE`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from mlcvbench.contract import Notice, Problem
from mlcvbench.contract.torch_model import WEIGHTS_FILE
from mlcvbench.files.weights import read_weights
from mlcvbench_fcn.at_image_size import at_image_size
from mlcvbench_fcn.settings import FCN_FIT
from mlcvbench_fcn.vgg import ConvolutionalVgg, Shape, as_convolutions
from mlcvbench_networks.backbone_base import Backbone
from mlcvbench_networks.bases.segmenter import Segmenter
from mlcvbench_networks.dense.upsampling import bilinear, enlarging
from mlcvbench_networks.transfer import take_weights


class FullyConvolutional(Segmenter):
    """1x1 convolutions score the classes on the last map of a VGG, and on finer ones that are added on the way up.

    `STRIDE`: of the finest map that is scored. `zoom`: how many times images are enlarged first: objects of a small
    image are smaller than the cells of stride 32, of which the paper's images have 15 a side.
    """

    FIT = FCN_FIT
    STRIDE: ClassVar[int]

    def __init__(
        self, problem: Problem, zoom: int = 2, upsampling: str = "transposed", **shape_and_transfer: Any
    ) -> None:
        super().__init__(problem, zoom=zoom, upsampling=upsampling, **shape_and_transfer)
        self.shape = Shape(**{name: value for name, value in shape_and_transfer.items() if name in Shape._fields})
        self.zoom, self.upsampling = zoom, upsampling

    def network(self) -> nn.Module:
        body = ConvolutionalVgg(self.channels, self.shape)
        return FCNNetwork(body, len(self.problem.classes), self.STRIDE, self.zoom, self.upsampling)

    def begin(self, module: nn.Module) -> tuple[Notice, ...]:
        if self.backbone_weights is None:
            return ()
        path = Path(self.backbone_weights)
        path = path / WEIGHTS_FILE if path.is_dir() else path
        body: Any = module.backbone
        return take_weights(body, as_convolutions(read_weights(path)), path.name, ("classifier",))


class FCN32s(FullyConvolutional):
    """The classes are scored at stride 32 alone, and the scores enlarged 32 times."""

    STRIDE = 32


class FCN16s(FullyConvolutional):
    """Scores at stride 32 are enlarged twice and added to those of pool4, and the sum is enlarged 16 times."""

    STRIDE = 16


class FCN8s(FullyConvolutional):
    """As FCN-16s, and once more: the sum is enlarged twice and added to the scores of pool3."""

    STRIDE = 8


class FCNNetwork(nn.Module):
    """Sums of scores from stride 32 to the finest one (section 4.2, figure 3).

    Scores of the finer maps begin at zero, so that training starts from what the coarse ones say.
    """

    def __init__(self, backbone: Backbone, classes: int, stride: int, zoom: int, upsampling: str) -> None:
        super().__init__()
        self.backbone, self.zoom = backbone, zoom
        finer = {32: 0, 16: 1, 8: 2}[stride]
        inside = backbone.channels[::-1][: finer + 1]  # fc7, pool4, pool3
        scores = [nn.Conv2d(width, classes, 1) for width in inside]
        for parameter in nn.ModuleList(scores[1:]).parameters():
            nn.init.zeros_(parameter)
        self.scores = nn.ModuleList(scores)
        self.twice = nn.ModuleList(enlarging(upsampling, classes, 2) for _ in range(finer))
        self.last = at_image_size(upsampling, classes, stride // zoom)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (B, C, H, W) to logits (B, classes, H, W), or at their stride where the base enlarges them."""
        if self.zoom > 1:
            images = bilinear(images, (self.zoom * images.shape[2], self.zoom * images.shape[3]))
        maps = self.backbone(images)[::-1]  # fc7, pool4, pool3, pool2
        summed = self.scores[0](maps[0])
        for twice, score, finer in zip(self.twice, self.scores[1:], maps[1:], strict=False):
            summed = twice(summed) + score(finer)
        return self.last(summed)  # type: ignore[no-any-return]
