"""Learning and reading anchors as RetinaNet does (Lin et al. 2017, sections 3 and 4), and EfficientDet after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import torch

from mlcvbench_networks.bases.detector import Detections, Detector
from mlcvbench_networks.bases.network_model import Losses
from mlcvbench_networks.detection.anchors import AnchorLayout, by_anchor, octave_sizes, shaped
from mlcvbench_networks.detection.assignment import by_overlap, classes_of
from mlcvbench_networks.detection.box_coding import decode_deltas, encode_deltas
from mlcvbench_networks.detection.losses import focal, smooth_l1
from mlcvbench_onestage.levels import Maps, best_of, strides_of
from mlcvbench_training.sample_batch import SampleBatch

if TYPE_CHECKING:
    from mlcvbench_training.objective import Network

RATIOS = (0.5, 1.0, 2.0)
ANCHORS = 9
"""A cell: three ratios of height and width in three sizes of an octave."""


def layout_of(levels: Sequence[int], anchor: float) -> AnchorLayout:
    """Return the anchors of levels from the finest to the coarsest, the smallest of `anchor` strides."""
    strides = strides_of(levels)
    return AnchorLayout([shaped(octave_sizes(anchor * stride), RATIOS) for stride in strides], strides)


class AnchoredDetector(Detector):
    """Every anchor is each of the classes or none, by a logistic of its own; its box is four deltas.

    A method writes `network`, which gives the maps of logits and of deltas by level, and sets `layout`. `GAMMA`: of the
    focal loss. `BETA`: where the smooth L1 of boxes becomes straight. `BOXES`: its weight.
    """

    LEAST = 0.05  # section 4.1; below it there are a hundred answers to any image
    GAMMA: ClassVar[float] = 2.0
    BETA: ClassVar[float] = 0.1
    BOXES: ClassVar[float] = 1.0
    layout: AnchorLayout

    def loss(self, network: Network, batch: SampleBatch, generator: torch.Generator) -> Losses:
        outputs = network(batch.inputs["image"])
        anchors = torch.cat(self.anchors(outputs[1]))  # (N, 4)
        logits, deltas = (torch.cat(level, dim=1) for level in self.by_anchor(outputs))  # (B, N, K), (B, N, 4)
        chosen = [by_overlap(anchors, own.boxes, own.ignored, low=0.4, high=0.5, nearest=True) for own in batch.objects]
        classes = [classes_of(one, own.labels) for one, own in zip(chosen, batch.objects, strict=True)]
        wanted = torch.cat(
            [
                encode_deltas(own.boxes[one[one >= 0]], anchors[one >= 0])
                for one, own in zip(chosen, batch.objects, strict=True)
            ]
        )
        found = focal(logits.flatten(0, 1), torch.cat(classes), gamma=self.GAMMA)
        boxes = smooth_l1(deltas[torch.stack(chosen) >= 0], wanted, len(wanted), self.BETA)
        return {"loss": found + self.BOXES * boxes, "classes": found, "boxes": boxes}

    def decode(self, outputs: tuple[Maps, Maps]) -> Sequence[Detections]:
        anchors, (logits, deltas) = self.anchors(outputs[1]), self.by_anchor(outputs)
        boxes = [decode_deltas(delta, anchor) for delta, anchor in zip(deltas, anchors, strict=True)]
        scores = [level.sigmoid() for level in logits]
        return [
            best_of((box[place], score[place]) for box, score in zip(boxes, scores, strict=True))
            for place in range(len(scores[0]))
        ]

    def anchors(self, maps: Maps) -> Maps:
        """Return the anchors of each level of an image, (N_i, 4)."""
        return [level.to(maps[0].device) for level in self.layout.on([(m.shape[2], m.shape[3]) for m in maps])]

    def by_anchor(self, outputs: tuple[Maps, Maps]) -> tuple[Maps, Maps]:
        """Return the logits (B, N_i, K) and deltas (B, N_i, 4) of each level in the order of the anchors."""
        logits, deltas = outputs
        return [by_anchor(level, len(self.problem.classes)) for level in logits], [by_anchor(m, 4) for m in deltas]
