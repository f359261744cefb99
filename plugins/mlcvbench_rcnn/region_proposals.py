"""The region proposal network (Ren et al. 2015, section 3.1): k anchors a cell, each an objectness and four deltas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from mlcvbench.errors import PredictionError
from mlcvbench_networks.arithmetic import in_full
from mlcvbench_networks.detection.anchors import AnchorLayout, by_anchor, inside
from mlcvbench_networks.detection.assignment import LEFT_OUT, by_overlap, sampled
from mlcvbench_networks.detection.box_coding import decode_deltas, encode_deltas
from mlcvbench_networks.detection.losses import smooth_l1
from mlcvbench_networks.detection.proposals import choose_proposals
from mlcvbench_networks.initialisation import head_initialised
from mlcvbench_training.sample_batch import Objects

Maps = Sequence[torch.Tensor]
"""One map a level, (B, C, H_i, W_i), from fine to coarse."""
SAMPLED, SHARE = 256, 0.5
"""Anchors of an image that learn, and how many of them objects at most (section 3.1.3)."""
BETA = 1 / 9
"""Where the smooth L1 of deltas becomes straight: sigma = 3 in the published code."""
LOW, HIGH = 0.3, 0.7
"""The IoU with every object below which an anchor is background, and that from which it is an object."""
DECIMALS = 4
"""Of logits: of neighbours that say the same, the first is kept whatever was rounded how in batches of another size."""


class AnchorAnswers(NamedTuple):
    """What is said of all anchors (N, 4), from the finest level on: logits (B, N), deltas (B, N, 4) in float32."""

    logits: torch.Tensor
    deltas: torch.Tensor
    anchors: torch.Tensor
    counts: list[int]


class RegionProposalNetwork(nn.Module):
    """A 3x3 and two 1x1 on each level. `candidates`: of a level that suppression looks at; `kept`: of an image.

    In training there are twice as many of both. Objectness is one logistic, where the paper has a softmax of two.
    """

    def __init__(self, inside: int, width: int, layout: AnchorLayout, candidates: int, kept: int) -> None:
        super().__init__()
        (anchors,) = set(layout.per_cell)
        self.layout, self.candidates, self.kept = layout, candidates, kept
        self.hidden = nn.Conv2d(inside, width, 3, padding=1)
        self.objects, self.boxes = nn.Conv2d(width, anchors, 1), nn.Conv2d(width, 4 * anchors, 1)
        head_initialised(self)

    def forward(self, maps: Maps) -> AnchorAnswers:
        hidden = [functional.relu(self.hidden(level)) for level in maps]
        logits = torch.cat([by_anchor(self.objects(level), 1) for level in hidden], dim=1).squeeze(2)
        deltas = torch.cat([by_anchor(self.boxes(level), 4) for level in hidden], dim=1)
        levels = self.layout.on([(level.shape[2], level.shape[3]) for level in maps])
        anchors = torch.cat(levels).to(deltas.device)
        return AnchorAnswers(in_full(logits), in_full(deltas), anchors, [len(level) for level in levels])

    def proposals(self, said: AnchorAnswers, frame: tuple[int, int]) -> list[torch.Tensor]:
        """Return the regions of each image that are looked at further, (R_i, 4) in pixels, best first.

        PredictionError when what is said is not finite: such regions would drop out, and nothing be found.
        """
        if not self.training and not bool(said.logits.isfinite().all() & said.deltas.isfinite().all()):
            raise PredictionError("the proposal network's answers are not finite.")
        more = 2 if self.training else 1
        boxes = decode_deltas(said.deltas.detach(), said.anchors)
        logits = said.logits.detach().round(decimals=DECIMALS)
        return [
            choose_proposals(
                box.split(said.counts),
                logit.split(said.counts),
                frame,
                before=more * self.candidates,
                after=more * self.kept,
            ).boxes
            for box, logit in zip(boxes, logits, strict=True)
        ]


def proposal_losses(
    said: AnchorAnswers,
    objects: Sequence[Objects],
    generator: torch.Generator,
    frame: tuple[int, int] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the cross-entropy of objectness and the smooth L1 of deltas, each a mean over the anchors that learn.

    With `frame` (H, W), anchors that cross its border learn nothing (section 3.3); an FPN has them learn.
    """
    chosen = torch.stack([chosen_anchors(said.anchors, own, generator, frame) for own in objects])  # (B, N)
    learns, found = chosen != LEFT_OUT, chosen >= 0
    count = int(learns.sum())
    entropy = functional.binary_cross_entropy_with_logits(
        said.logits[learns], found[learns].to(said.logits), reduction="sum"
    )
    wanted = torch.cat(
        [
            encode_deltas(own.boxes[one[one >= 0]], said.anchors[one >= 0])
            for own, one in zip(objects, chosen, strict=True)
        ]
    )
    return entropy / max(count, 1), smooth_l1(said.deltas[found], wanted, count, BETA)


def chosen_anchors(
    anchors: torch.Tensor, own: Objects, generator: torch.Generator, frame: tuple[int, int] | None = None
) -> torch.Tensor:
    """Return the object that each anchor (N, 4) of an image learns, int64 (N,): its number, BACKGROUND or LEFT_OUT.

    At most 256 learn, drawn from those that overlap an object by 0.7 or most, and from those below 0.3.
    """
    allowed = torch.arange(len(anchors), device=anchors.device) if frame is None else _inside(anchors, frame)
    chosen = torch.full((len(anchors),), LEFT_OUT, dtype=torch.int64, device=anchors.device)
    chosen[allowed] = by_overlap(anchors[allowed], own.boxes, own.ignored, low=LOW, high=HIGH, nearest=True)
    return sampled(chosen, SAMPLED, SHARE, generator)


def _inside(anchors: torch.Tensor, frame: tuple[int, int]) -> torch.Tensor:
    return torch.nonzero(inside(anchors, frame)).squeeze(1)
