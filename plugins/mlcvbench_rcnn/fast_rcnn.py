"""Fast R-CNN (Girshick 2015): one pass over the image, RoIPool for each proposal of selective search, one loss.

R-CNN runs a network on every proposal; here they share all convolutions. Published: `model.backbone=torchvision:vgg16
model.level=4 model.hidden=4096 model.proposals=2000`; 134,690,729 parameters with 20 classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn

from mlcvbench.contract import Array, Batch, Predictions, Problem
from mlcvbench_networks.backbone_base import Backbone
from mlcvbench_networks.bases.detector import Detections, Detector
from mlcvbench_networks.bases.network_model import Losses, SampleObjective
from mlcvbench_rcnn.pooling import RegionPooling
from mlcvbench_rcnn.proposer import Source
from mlcvbench_rcnn.region_head import RegionAnswers, RegionHead, chosen_regions, detections_of, region_losses
from mlcvbench_rcnn.selective_search import Search
from mlcvbench_training.sample_batch import Objects, SampleBatch

if TYPE_CHECKING:
    from mlcvbench_training.objective import Chosen, Network
    from mlcvbench_training.samples import DenseSamples
    from mlcvbench_training.settings import NetworkSettings

SIDE = 7
"""Cells a side that a region is cut to (section 2.1)."""
FINEST = 2
PROPOSAL = -1
"""In place of a label: a box that is a proposal, and moves with the image as objects do."""


class Proposed(NamedTuple):
    """Images float32 (B, C, H, W) and the proposals (R_i, 4) of each."""

    images: torch.Tensor
    regions: list[torch.Tensor]


class FastRCNN(Detector):
    """The proposals of a training image are searched for once, and move with it when it is changed at random."""

    def __init__(
        self,
        problem: Problem,
        *,
        level: int = 2,
        hidden: int = 256,
        proposals: int = 300,
        regions: int = 64,
        **further: Any,
    ) -> None:
        own: dict[str, Any] = {"level": level, "hidden": hidden, "proposals": proposals, "regions": regions}
        super().__init__(problem, **own, **further)
        self.level, self.hidden, self.proposals, self.regions = level, hidden, proposals, regions
        search = {name: further[name] for name in Search._fields if name in further}
        self.source = Source(search=Search(**search))

    def network(self) -> nn.Module:
        body = self.new_backbone()
        body.cut(self.level)
        inside = body.channels[self.level - FINEST]
        head = RegionHead(inside * SIDE**2, self.hidden, len(self.problem.classes))
        return FastNetwork(body, RegionPooling("pool", SIDE, self.level, self.level), head)

    def objective(self, samples: DenseSamples, settings: NetworkSettings) -> SampleObjective:
        return ProposedObjective(self, samples, settings)

    def proposed(self, image: Array) -> torch.Tensor:
        """Return the boxes (R, 4) of an image uint8 (H, W[, 3]) that are looked at."""
        return torch.from_numpy(self.source.propose(image)[: self.proposals]).to(self.torch_device)

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        images, objects, proposals = batch.inputs["image"], *apart(batch.objects)
        chosen = [
            chosen_regions(regions, own, self.regions, generator)
            for regions, own in zip(proposals, objects, strict=True)
        ]
        classes, boxes = region_losses(network(images, [one.boxes for one in chosen]), chosen, objects)
        return {"loss": classes + boxes, "classes": classes, "boxes": boxes}

    def preprocess(self, batch: Batch) -> Any:
        return Proposed(super().preprocess(batch), [self.proposed(np.asarray(one)) for one in batch.inputs["image"]])

    def postprocess(self, outputs: RegionAnswers, batch: Batch) -> Predictions:
        return {**super().postprocess(outputs, batch), "proposals": [own.cpu().numpy() for own in outputs.regions]}

    def decode(self, outputs: RegionAnswers) -> Sequence[Detections]:
        return detections_of(outputs)


class FastNetwork(nn.Module):
    """One map of a backbone, and a head on each region of it."""

    def __init__(self, body: Backbone, pooling: RegionPooling, head: RegionHead) -> None:
        super().__init__()
        self.backbone, self.pooling, self.head = body, pooling, head

    def forward(self, images: torch.Tensor, regions: list[torch.Tensor]) -> RegionAnswers:
        map_ = self.backbone(images)[self.pooling.finest - FINEST]
        return RegionAnswers(regions, *self.head(self.pooling([map_], regions)))


class ProposedObjective(SampleObjective):
    """Samples whose proposals are among their objects, as `PROPOSAL`."""

    def __init__(self, model: FastRCNN, samples: DenseSamples, settings: NetworkSettings) -> None:
        super().__init__(model, samples, settings)
        alone = samples.read([torch.tensor([place], device=samples.device) for place in range(len(samples))])
        self.proposals = [model.proposed(pixels_of(one)) for one in alone]

    def read(self, chosen: Sequence[Chosen]) -> Iterator[SampleBatch]:
        for places, batch in zip(chosen, super().read(chosen), strict=True):
            own = torch.arange(len(self))[places.cpu() if isinstance(places, torch.Tensor) else places].tolist()
            proposals = [self.proposals[place] for place in own]
            yield replace(batch, objects=[together(*one) for one in zip(batch.objects, proposals, strict=True)])

    def show(self, network: Network, batch: SampleBatch) -> None:
        network(batch.inputs["image"], apart(batch.objects)[1])


def together(own: Objects, proposals: torch.Tensor) -> Objects:
    """Return the objects of an image and its proposals (R, 4) as one."""
    count = len(proposals)
    return Objects(
        torch.cat((own.boxes, proposals)),
        torch.cat((own.labels, own.labels.new_full((count,), PROPOSAL))),
        torch.cat((own.ignored, own.ignored.new_zeros(count))),
    )


def apart(objects: Sequence[Objects]) -> tuple[list[Objects], list[torch.Tensor]]:
    """Return the objects and the proposals (R_i, 4) of each image; those that were cut to specks are left out."""
    proposed = [own.labels == PROPOSAL for own in objects]
    return (
        [
            Objects(own.boxes[~one], own.labels[~one], own.ignored[~one])
            for own, one in zip(objects, proposed, strict=True)
        ],
        [own.boxes[one & ~own.ignored] for own, one in zip(objects, proposed, strict=True)],
    )


def pixels_of(sample: SampleBatch) -> Array:
    """Return the image of a batch of one as it was: uint8 (H, W) or (H, W, 3)."""
    height, width = sample.own_sizes()[0].tolist()
    image = sample.inputs["image"][0, :, :height, :width].mul(255).round().to(torch.uint8).permute(1, 2, 0)
    pixels: Array = image.cpu().numpy()
    return np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
