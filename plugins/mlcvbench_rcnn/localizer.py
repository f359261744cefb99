"""Classification with localisation (Sermanet et al. 2014, OverFeat): one object an image, its class and four numbers.

It is what R-CNN begins from: a classifier answers what and a regressor where, on the same features, and an image has
one answer. What it misses on images of several objects is what proposals are for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from mlcvbench.contract import Problem
from mlcvbench_networks.arithmetic import in_full
from mlcvbench_networks.backbone_base import Backbone
from mlcvbench_networks.bases.detector import Detections, Detector
from mlcvbench_networks.bases.network_model import Losses
from mlcvbench_networks.detection.losses import smooth_l1
from mlcvbench_training.sample_batch import Objects, SampleBatch

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network

GRID = 7
"""Cells a side that the last map is pooled to: where things are must be left, and images may have any size."""


class Answers(NamedTuple):
    """What the network says of each image: logits (B, K) and boxes (B, 4), x0 y0 x1 y1 as shares of the frame."""

    logits: torch.Tensor
    boxes: torch.Tensor
    frame: tuple[int, int]


class Localizer(Detector):
    """The loss is cross-entropy + `share` x smooth L1 of the box, whose numbers are shares of the image's sides.

    Of several objects the largest is learned; an image without objects teaches nothing.
    """

    OVERLAP = None

    def __init__(
        self,
        problem: Problem,
        backbone: str = "small",
        backbone_weights: str | None = None,
        freeze: int = 0,
        width: int = 256,
        share: float = 10.0,
    ) -> None:
        super().__init__(
            problem, backbone=backbone, backbone_weights=backbone_weights, freeze=freeze, width=width, share=share
        )
        self.width, self.share = width, share

    def network(self) -> nn.Module:
        return LocalizerNetwork(self.new_backbone(), self.width, len(self.problem.classes))

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        said: Answers = network(batch.inputs["image"])
        chosen = [largest(own) for own in batch.objects]
        images = [place for place, one in enumerate(chosen) if one is not None]
        height, width = batch.frame
        sides = said.boxes.new_tensor([width, height, width, height])
        truths = [own.boxes[one] for own, one in zip(batch.objects, chosen, strict=True) if one is not None]
        labels = [own.labels[one] for own, one in zip(batch.objects, chosen, strict=True) if one is not None]
        if not images:
            nothing = said.logits.sum() * 0 + said.boxes.sum() * 0
            return {"loss": nothing, "classes": nothing, "boxes": nothing}
        classes = functional.cross_entropy(said.logits[images], torch.stack(labels))
        boxes = smooth_l1(said.boxes[images], torch.stack(truths) / sides, len(images), 0.1)
        return {"loss": classes + self.share * boxes, "classes": classes, "boxes": boxes}

    def decode(self, outputs: Answers) -> Sequence[Detections]:
        height, width = outputs.frame
        boxes = outputs.boxes * outputs.boxes.new_tensor([width, height, width, height])
        best, labels = outputs.logits.softmax(dim=1).max(dim=1)
        return [
            Detections(box[None], score[None], label[None])
            for box, score, label in zip(boxes, best, labels, strict=True)
        ]


class LocalizerNetwork(nn.Module):
    """A backbone, its last map on a grid, a hidden layer, and two layers side by side: K logits and 4 numbers."""

    def __init__(self, body: Backbone, width: int, classes: int) -> None:
        super().__init__()
        self.backbone = body
        self.hidden = nn.Sequential(
            nn.AdaptiveAvgPool2d(GRID), nn.Flatten(), nn.Linear(body.channels[-1] * GRID**2, width), nn.ReLU()
        )
        self.classes, self.boxes = nn.Linear(width, classes), nn.Linear(width, 4)

    def forward(self, images: torch.Tensor) -> Answers:
        hidden = self.hidden(self.backbone(images)[-1])
        frame = (images.shape[2], images.shape[3])
        return Answers(self.classes(hidden), cornered(in_full(self.boxes(hidden))), frame)


def cornered(numbers: torch.Tensor) -> torch.Tensor:
    """Return boxes (B, 4) as corners from four numbers: the centre, 0 in the middle, and the sides' logarithms.

    Boxes begin in the middle of the image with half its sides.
    """
    centre, half = 0.5 + numbers[:, :2], torch.exp(numbers[:, 2:].clamp(max=2)) / 4
    return torch.cat((centre - half, centre + half), dim=1)


def largest(objects: Objects) -> int | None:
    """Return which object of an image has the largest box; None where there is none to learn."""
    areas = (objects.boxes[:, 2:] - objects.boxes[:, :2]).prod(dim=1).masked_fill(objects.ignored, -1)
    return int(areas.argmax()) if len(areas) and areas.max() > 0 else None
