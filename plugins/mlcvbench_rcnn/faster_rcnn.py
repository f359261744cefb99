"""Faster R-CNN (Ren et al. 2015) on one map, and on a feature pyramid (Lin et al. 2017, FPN).

A network proposes regions, and the head of Fast R-CNN looks at them on the same maps.

Published, on the last map of VGG-16: `model.backbone=torchvision:vgg16 model.level=4 model.width=512
model.anchors=[8,16,32] model.hidden=4096 model.candidates=6000 model.proposals=300`; 137,073,622 parameters with 20
classes. On the pyramid of a ResNet-50: `model.backbone=torchvision:resnet50 model.width=256 model.anchor=8
model.hidden=1024 model.candidates=1000 model.proposals=1000 model.regions=512`; 41,808,406 parameters with 90 classes.
The latter takes torchvision's checkpoint as `weights=FILE`.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import nn
from torchvision.ops import clip_boxes_to_image

from mlcvbench.contract import Array, Batch, Predictions, Problem
from mlcvbench_networks.backbone_base import Backbone
from mlcvbench_networks.bases.detector import Detections, Detector
from mlcvbench_networks.bases.network_model import Losses, sizes_of
from mlcvbench_networks.bases.torchvision_detector import CornerLayout, Renaming, TakesTorchvisions, without_epsilon
from mlcvbench_networks.detection.anchors import AnchorLayout, shaped
from mlcvbench_networks.detection.categories import Known
from mlcvbench_networks.pyramid import FeaturePyramid
from mlcvbench_rcnn.pooling import RegionPooling
from mlcvbench_rcnn.region_head import Chosen, RegionAnswers, RegionHead, chosen_regions, detections_of, region_losses
from mlcvbench_rcnn.region_proposals import AnchorAnswers, Maps, RegionProposalNetwork, proposal_losses
from mlcvbench_training.sample_batch import Objects, SampleBatch

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network

RATIOS = (0.5, 1.0, 2.0)
SIDE = 7
"""Cells a side that a region is cut to."""
FINEST, COARSEST = 2, 5
"""Levels of the pyramid that regions are cut from; anchors are on a sixth, too."""


class Lesson(NamedTuple):
    """What the network says in training: of anchors, and of the regions of each image that were chosen to learn.

    `masks`: logits of Mask R-CNN for the chosen regions with an object, (P, K + 1, M, M).
    """

    anchors: AnchorAnswers
    chosen: list[Chosen]
    regions: RegionAnswers
    masks: torch.Tensor | None = None


class TwoStages(Detector):
    """A region proposal network and a head on its regions, trained together (Ren et al. 2015, "approximate joint").

    A method writes `network`. `INSIDE_ALONE`: anchors that cross the border of the image learn nothing. `told`: classes
    that the head tells; `outputs`: where each class of the data set is among these, behind the background, -1 for none.
    """

    CHOOSES = True
    INSIDE_ALONE: ClassVar[bool] = False
    layout: AnchorLayout

    def __init__(
        self,
        problem: Problem,
        *,
        width: int = 64,
        hidden: int = 256,
        candidates: int = 200,
        proposals: int = 100,
        regions: int = 64,
        **further: Any,
    ) -> None:
        own: dict[str, Any] = {
            "width": width,
            "hidden": hidden,
            "candidates": candidates,
            "proposals": proposals,
            "regions": regions,
        }
        super().__init__(problem, **own, **further)
        self.width, self.hidden, self.regions = width, hidden, regions
        self.candidates, self.proposals = candidates, proposals
        self.told = len(problem.classes)
        self.outputs = list(range(1, self.told + 1))

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        parts = self.losses(network(batch.inputs["image"], batch.objects, generator), batch, generator)
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}

    def losses(self, lesson: Lesson, batch: SampleBatch, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Return the parts of the loss, which have equal weights."""
        frame = batch.frame if self.INSIDE_ALONE else None
        objectness, proposals = proposal_losses(lesson.anchors, batch.objects, generator, frame)
        classes, boxes = region_losses(lesson.regions, lesson.chosen, batch.objects)
        return {"objectness": objectness, "proposals": proposals, "classes": classes, "boxes": boxes}

    def decode(self, outputs: Any) -> Sequence[Detections]:
        return detections_of(outputs, self.outputs)

    def postprocess(self, outputs: Any, batch: Batch) -> Predictions:
        columns = super().postprocess(outputs, batch)
        if isinstance(outputs, RegionAnswers):  # Mask R-CNN's are what is left of them
            columns["proposals"] = [
                visible_in(own, size) for own, size in zip(outputs.regions, sizes_of(batch), strict=True)
            ]
        return columns


class FasterRCNN(TwoStages):
    """One map; nine anchors a cell, three sides `anchors` in strides; RoIPool."""

    INSIDE_ALONE = True

    def __init__(
        self,
        problem: Problem,
        *,
        level: int = 2,
        anchors: Sequence[float] = (3.0, 6.0, 12.0),
        **further: Any,
    ) -> None:
        super().__init__(problem, level=level, anchors=anchors, **further)
        self.level = level
        stride = 2**level
        self.layout = AnchorLayout([shaped([side * stride for side in anchors], RATIOS)], [stride])

    def network(self) -> nn.Module:
        body = self.new_backbone()
        body.cut(self.level)
        inside = body.channels[self.level - FINEST]
        pooling = RegionPooling("pool", SIDE, self.level, self.level)
        proposer = RegionProposalNetwork(inside, self.width, self.layout, self.candidates, self.proposals)
        head = RegionHead(inside * SIDE**2, self.hidden, len(self.problem.classes))
        return OneLevel(body, proposer, pooling, head, self.regions)


class FasterRCNNFPN(TwoStages, TakesTorchvisions):
    """Anchors of one size on each of five levels, `anchor` in strides; RoIAlign on the level that fits a region."""

    LOGITS = "roi_heads.box_predictor.cls_score"
    HEADS: ClassVar[Sequence[Renaming]] = (
        (re.compile(r"^rpn\.head\.conv(\.0\.0)?\."), "proposer.hidden."),  # earlier versions have no numbers
        (re.compile(r"^rpn\.head\.cls_logits\."), "proposer.objects."),
        (re.compile(r"^rpn\.head\.bbox_pred\."), "proposer.boxes."),
        (re.compile(r"^roi_heads\.box_head\.fc6\."), "head.hidden.1."),
        (re.compile(r"^roi_heads\.box_head\.fc7\."), "head.hidden.3."),
        (re.compile(r"^roi_heads\.box_predictor\.cls_score\."), "head.classes."),
        (re.compile(r"^roi_heads\.box_predictor\.bbox_pred\."), "head.boxes."),
    )
    PUBLISHED = (
        "model.backbone=torchvision:resnet50 model.width=256 model.anchor=8 model.hidden=1024 model.candidates=1000 "
        "model.proposals=1000"
    )

    def __init__(
        self,
        problem: Problem,
        *,
        anchor: float = 3.0,
        **further: Any,
    ) -> None:
        super().__init__(problem, anchor=anchor, **further)
        strides = [2**level for level in range(FINEST, COARSEST + 2)]
        self.layout = AnchorLayout([shaped([anchor * stride], RATIOS) for stride in strides], strides)

    def parts(self) -> tuple[Backbone, RegionProposalNetwork, RegionPooling, RegionHead, int]:
        """Return what a network of regions is made of."""
        proposer = RegionProposalNetwork(self.width, self.width, self.layout, self.candidates, self.proposals)
        head = RegionHead(self.width * SIDE**2, self.hidden, self.told)
        return self.new_backbone(), proposer, RegionPooling("align", SIDE, FINEST, COARSEST), head, self.regions

    def network(self) -> nn.Module:
        return Pyramid(*self.parts())

    def tell_classes(self, given: dict[str, torch.Tensor], source: str) -> Known:
        """Tell all classes that the weights know, since the softmax is over them all, and report the data set's."""
        outputs, own = len(given[f"{self.LOGITS}.bias"]), len(self.problem.classes)
        known = self.known(outputs, own + 1, source)
        if known is not None:  # the background is among COCO's numbers, too
            self.told, self.outputs = outputs - 1, known.places
            self.module = self.build().to(self.torch_device)
        return known or Known.all_of(own)

    def see_as_torchvision(self, given: Mapping[str, torch.Tensor]) -> None:
        assert isinstance(self.module, Pyramid)
        self.module.proposer.layout = CornerLayout.rcnn(self.layout.strides)
        self.module.pooling = replace(self.module.pooling, aligned=False)
        without_epsilon(self.module.backbone, given)


def visible_in(regions: torch.Tensor, size: tuple[int, int]) -> Array:
    """Return the parts of regions (R, 4) that lie in an image (H, W), of those that have any, in the same order."""
    inside = clip_boxes_to_image(regions.float(), size)
    parts: Array = inside[(inside[:, 2:] > inside[:, :2]).all(dim=1)].cpu().numpy()
    return parts


class TwoStageNetwork(nn.Module):
    """Maps, proposals, and the head on what is cut out of the maps. `learned`: regions of an image that learn."""

    def __init__(
        self, body: Backbone, proposer: RegionProposalNetwork, pooling: RegionPooling, head: RegionHead, learned: int
    ) -> None:
        super().__init__()
        self.backbone, self.proposer, self.head = body, proposer, head
        self.pooling, self.learned = pooling, learned

    @abstractmethod
    def maps(self, images: torch.Tensor) -> Maps:
        """Return the maps of images (B, C, H, W) that anchors are on, from fine to coarse."""

    def forward(
        self, images: torch.Tensor, objects: Sequence[Objects] | None = None, generator: torch.Generator | None = None
    ) -> RegionAnswers | Lesson:
        """Return what is said of the proposals; with the objects of each image, of those chosen to learn."""
        maps = self.maps(images)
        said, proposals = self.proposed(maps, images)
        if objects is None or generator is None:
            return self.answers(maps, proposals)
        chosen = [
            chosen_regions(regions, own, self.learned, generator)
            for regions, own in zip(proposals, objects, strict=True)
        ]
        return self.lesson(maps, said, chosen)

    def lesson(self, maps: Maps, said: AnchorAnswers, chosen: list[Chosen]) -> Lesson:
        """Return what is said of the anchors and of the regions that were chosen to learn."""
        return Lesson(said, chosen, self.answers(maps, [one.boxes for one in chosen]))

    def proposed(self, maps: Maps, images: torch.Tensor) -> tuple[AnchorAnswers, list[torch.Tensor]]:
        """Return what is said of anchors, and the regions (R_i, 4) of each image."""
        said = self.proposer(maps)
        return said, self.proposer.proposals(said, (images.shape[2], images.shape[3]))

    def answers(self, maps: Maps, regions: list[torch.Tensor]) -> RegionAnswers:
        """Return what the head says of regions (R_i, 4) of each image."""
        return RegionAnswers(regions, *self.head(self.pooling(maps[: self.pooling.levels], regions)))


class OneLevel(TwoStageNetwork):
    """One map of the backbone alone."""

    def maps(self, images: torch.Tensor) -> Maps:
        return [self.backbone(images)[self.pooling.finest - FINEST]]


class Pyramid(TwoStageNetwork):
    """Five levels of a pyramid, the coarsest for anchors only."""

    def __init__(
        self, body: Backbone, proposer: RegionProposalNetwork, pooling: RegionPooling, head: RegionHead, learned: int
    ) -> None:
        super().__init__(body, proposer, pooling, head, learned)
        self.pyramid = FeaturePyramid(body.channels, proposer.hidden.in_channels, "pool")

    def maps(self, images: torch.Tensor) -> Maps:
        return self.pyramid(self.backbone(images))  # type: ignore[no-any-return]
