"""Mask R-CNN (He et al. 2017): Faster R-CNN on a pyramid, and a small convolutional network that gives each its mask.

Published on ResNet-50: the settings of `faster_rcnn_fpn` (see there) with `model.mask_width=256 model.layers=4`;
44,454,513 parameters with 90 classes. It takes torchvision's checkpoint as `weights=FILE`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torchvision.ops import clip_boxes_to_image

from mlcvbench.contract import Problem
from mlcvbench_networks.arithmetic import in_full
from mlcvbench_networks.bases.detector import Detections
from mlcvbench_networks.bases.instance_segmenter import InstanceSegmenter
from mlcvbench_networks.detection.masks import cut_masks
from mlcvbench_networks.initialisation import he_initialised
from mlcvbench_rcnn.faster_rcnn import COARSEST, FINEST, FasterRCNNFPN, Lesson, Pyramid
from mlcvbench_rcnn.pooling import RegionPooling
from mlcvbench_rcnn.region_head import Chosen, detections_of
from mlcvbench_rcnn.region_proposals import AnchorAnswers, Maps
from mlcvbench_training.sample_batch import Objects, SampleBatch

CUT = 14
"""Cells a side that a region is cut to for its mask, half of the mask's."""


class MaskRCNN(InstanceSegmenter, FasterRCNNFPN):
    """Classes do not compete for pixels: a mask for each, and the class that the box has says which one counts.

    To predict, masks are told for the detections that are left after suppression, not for all proposals.
    """

    HEADS = (
        *FasterRCNNFPN.HEADS,
        (re.compile(r"^roi_heads\.mask_head\.(\d)\.0\."), lambda found: f"masks.layers.{2 * int(found[1])}."),
        (
            re.compile(r"^roi_heads\.mask_head\.mask_fcn(\d)\."),  # of earlier versions, counted from 1
            lambda found: f"masks.layers.{2 * int(found[1]) - 2}.",
        ),
        (re.compile(r"^roi_heads\.mask_predictor\.conv5_mask\."), "masks.doubling.0."),
        (re.compile(r"^roi_heads\.mask_predictor\.mask_fcn_logits\."), "masks.masks."),
    )
    PUBLISHED = f"{FasterRCNNFPN.PUBLISHED} model.mask_width=256 model.layers=4"

    def __init__(self, problem: Problem, *, mask_width: int = 32, layers: int = 2, **further: Any) -> None:
        super().__init__(problem, mask_width=mask_width, layers=layers, **further)
        self.mask_width, self.layers = mask_width, layers

    def network(self) -> nn.Module:
        masks = MaskHead(self.width, self.mask_width, self.layers, self.told)
        return MaskPyramid(masks, *self.parts())

    def losses(self, lesson: Lesson, batch: SampleBatch, generator: torch.Generator) -> dict[str, torch.Tensor]:
        parts = super().losses(lesson, batch, generator)
        assert lesson.masks is not None
        return {**parts, "masks": mask_loss(lesson.masks, lesson.chosen, batch.objects)}

    def pass_through(self, module: nn.Module, inputs: torch.Tensor) -> list[Detections]:
        assert isinstance(module, MaskPyramid)
        maps = module.maps(inputs)
        said = module.answers(maps, module.proposed(maps, inputs)[1])
        frame = (inputs.shape[2], inputs.shape[3])
        found = [self.selected(one, frame) for one in detections_of(said, self.outputs)]
        if self.as_torchvisions:  # which masks what is left of a box inside the image
            found = [one._replace(boxes=clip_boxes_to_image(one.boxes, frame)) for one in found]
        return module.with_masks(maps, found, self.outputs)

    def see_as_torchvision(self, given: Mapping[str, torch.Tensor]) -> None:
        super().see_as_torchvision(given)
        assert isinstance(self.module, MaskPyramid)
        self.module.mask_pooling = replace(self.module.mask_pooling, aligned=False)

    def decode(self, outputs: list[Detections]) -> Sequence[Detections]:
        return outputs


class MaskPyramid(Pyramid):
    """A third branch beside classes and boxes, on regions of 14x14 cells."""

    def __init__(self, masks: nn.Module, *parts: Any) -> None:
        super().__init__(*parts)
        self.masks, self.mask_pooling = masks, RegionPooling("align", CUT, FINEST, COARSEST)

    def lesson(self, maps: Maps, said: AnchorAnswers, chosen: list[Chosen]) -> Lesson:
        held = [one.boxes[one.owners >= 0] for one in chosen]
        return super().lesson(maps, said, chosen)._replace(masks=self.mask_logits(maps, held))

    def mask_logits(self, maps: Maps, boxes: list[torch.Tensor]) -> torch.Tensor:
        """Return the logits of all classes' masks for boxes (R_i, 4) of each image, (R, K + 1, 28, 28)."""
        return in_full(self.masks(self.mask_pooling(maps[: self.mask_pooling.levels], boxes)))

    def with_masks(self, maps: Maps, found: Sequence[Detections], outputs: Sequence[int]) -> list[Detections]:
        """Return the detections of each image with the mask of the class that each has; `outputs`: of each class."""
        if not found:
            return []
        logits = self.mask_logits(maps, [one.boxes for one in found])
        labels = torch.cat([one.labels for one in found])
        told = torch.tensor(outputs, device=labels.device)[labels]
        own = logits[torch.arange(len(told), device=told.device), told, None].sigmoid()  # (R, 1, 28, 28)
        parts = torch.split(own, [len(one.boxes) for one in found])
        return [one._replace(masks=part) for one, part in zip(found, parts, strict=True)]


class MaskHead(nn.Module):
    """3x3 convolutions, a transposed one that doubles the cells, and a 1x1 to a mask for each class (figure 4).

    The background has a mask too, which nothing learns, as in all published networks.
    """

    def __init__(self, inside: int, width: int, layers: int, classes: int) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for each in range(layers):
            parts += [nn.Conv2d(width if each else inside, width, 3, padding=1), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*parts)
        self.doubling = nn.Sequential(nn.ConvTranspose2d(width, width, 2, 2), nn.ReLU(inplace=True))
        self.masks = nn.Conv2d(width, classes + 1, 1)
        he_initialised(self)

    def forward(self, cut: torch.Tensor) -> torch.Tensor:
        return self.masks(self.doubling(self.layers(cut)))  # type: ignore[no-any-return]


def mask_loss(logits: torch.Tensor, chosen: Sequence[Chosen], objects: Sequence[Objects]) -> torch.Tensor:
    """Return the mean over pixels and regions with an object of the cross-entropy of its class's mask alone.

    `logits` (P, K + 1, M, M) of those regions; the other classes' masks have no loss (section 3; E47 of the course
    notes). A region learns what it holds of its object's mask.
    """
    labels, wanted = [], []
    for own, one in zip(objects, chosen, strict=True):
        owners, boxes = one.owners[one.owners >= 0], one.boxes[one.owners >= 0]
        if own.masks is None:
            raise TypeError("Mask R-CNN learns from objects with masks.")
        labels.append(own.labels[owners] + 1)
        wanted.append(cut_masks(own.masks[owners], boxes, logits.shape[-1])[:, 0])
    classes = torch.cat(labels)
    said = logits[torch.arange(len(classes), device=logits.device), classes]  # (P, M, M)
    entropy = functional.binary_cross_entropy_with_logits(said, torch.cat(wanted), reduction="sum")
    return entropy / max(said.numel(), 1)
