"""What Fast R-CNN does with regions (Girshick 2015), and all after it: which learn, a head of two answers, one loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from mlcvbench_networks.arithmetic import in_full
from mlcvbench_networks.bases.detector import Detections
from mlcvbench_networks.detection.assignment import LEFT_OUT, by_overlap, sampled
from mlcvbench_networks.detection.box_coding import REGIONS, decode_deltas, encode_deltas
from mlcvbench_networks.detection.losses import smooth_l1
from mlcvbench_training.sample_batch import Objects

SHARE = 0.25
"""Of the regions that learn, those with an object at most (section 2.3)."""
FOREGROUND = 0.5
"""The IoU with an object from which on a region holds it."""
DECIMALS = 5
"""Of scores: of regions that say the same, the first is kept whatever was rounded how in batches of another size."""


class RegionAnswers(NamedTuple):
    """What is said of the regions of a batch, boxes (R_i, 4) an image in pixels.

    `logits` (R, K + 1), 0 is the background; `deltas` (R, K + 1, 4) for each class.
    """

    regions: list[torch.Tensor]
    logits: torch.Tensor
    deltas: torch.Tensor


class RegionHead(nn.Module):
    """Two hidden layers, and side by side K + 1 logits and four deltas for each class (figure 1).

    The background has deltas too, which nothing learns, as in all published networks.
    """

    def __init__(self, inside: int, width: int, classes: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Flatten(), nn.Linear(inside, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.classes, self.boxes = nn.Linear(width, classes + 1), nn.Linear(width, 4 * (classes + 1))
        for layer, deviation in ((self.classes, 0.01), (self.boxes, 0.001)):  # section 2.3
            nn.init.normal_(layer.weight, std=deviation)
            nn.init.zeros_(layer.bias)

    def forward(self, pooled: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.hidden(pooled)  # (R, width)
        logits = in_full(self.classes(hidden))
        return logits, in_full(self.boxes(hidden)).reshape(*logits.shape, 4)


class Chosen(NamedTuple):
    """The regions of an image that learn, (R, 4), and the object of each, int64 (R,): its number, or BACKGROUND."""

    boxes: torch.Tensor
    owners: torch.Tensor


def chosen_regions(proposals: torch.Tensor, own: Objects, count: int, generator: torch.Generator) -> Chosen:
    """Return `count` regions of an image, up to a quarter of them with an IoU of 0.5 with an object, drawn at random.

    The objects' own boxes are among the proposals (R, 4), so that the head has something to learn from the first step.
    Below 0.5 all are background, where the paper leaves out those below 0.1 (Ren et al. 2015 no longer do).
    """
    regions = torch.cat((proposals, own.boxes[~own.ignored].to(proposals)))
    owners = by_overlap(regions, own.boxes, own.ignored, low=FOREGROUND, high=FOREGROUND, nearest=False)
    owners = sampled(owners, count, SHARE, generator)
    learns = owners != LEFT_OUT
    return Chosen(regions[learns], owners[learns])


def region_losses(
    said: RegionAnswers, chosen: Sequence[Chosen], objects: Sequence[Objects]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the two parts of the multi-task loss (equation 1): -ln p_c, and [c > 0] x smooth L1 of the class's deltas.

    Both are means over all regions that learn.
    """
    classes, wanted, held = [], [], []
    for own, one in zip(objects, chosen, strict=True):
        found = one.owners >= 0
        label = torch.zeros_like(one.owners)  # the background
        label[found] = own.labels[one.owners[found]] + 1
        classes.append(label)
        wanted.append(encode_deltas(own.boxes[one.owners[found]], one.boxes[found], REGIONS))
        held.append(found)
    labels, holds = torch.cat(classes), torch.cat(held)
    count = max(len(labels), 1)
    entropy = functional.cross_entropy(said.logits, labels, reduction="sum") / count
    return entropy, smooth_l1(said.deltas[holds, labels[holds]], torch.cat(wanted), count)


def detections_of(said: RegionAnswers, outputs: Sequence[int] | None = None) -> list[Detections]:
    """Return every class of every region of each image, with its softmax as score and its box moved by its deltas.

    `outputs`: where each class is among what the head tells, -1 for one that it does not know; unset, behind the
    background in order.
    """
    if not said.regions:
        return []
    counts = [len(own) for own in said.regions]
    places = list(range(1, said.logits.shape[1])) if outputs is None else outputs
    told = [place for place in places if place >= 0]
    scores = said.logits.softmax(dim=1)[:, told].round(decimals=DECIMALS)  # (R, K)
    boxes = decode_deltas(said.deltas[:, told], torch.cat(said.regions)[:, None], REGIONS)  # (R, K, 4)
    labels = torch.tensor([label for label, place in enumerate(places) if place >= 0], device=scores.device)
    labels = labels.expand_as(scores)
    return [
        Detections(box.flatten(0, 1), score.flatten(), label.flatten())
        for box, score, label in zip(*(torch.split(part, counts) for part in (boxes, scores, labels)), strict=True)
    ]
