"""The parts as detectors: what is learned from four pictures is found in them again."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.ops import batched_nms, box_iou

from mlcvbench_networks.backbones import SmallResidual
from mlcvbench_networks.detection.anchors import AnchorLayout, by_anchor, octave_sizes, points, shaped
from mlcvbench_networks.detection.assignment import HeatMap, by_centre, by_overlap, classes_of, heat_map, level_reach
from mlcvbench_networks.detection.box_coding import (
    Centres,
    decode_centres,
    decode_deltas,
    decode_sides,
    encode_centres,
    encode_deltas,
)
from mlcvbench_networks.detection.losses import focal, giou, heat_map_focal, smooth_l1
from mlcvbench_networks.detection.proposals import heat_map_peaks
from mlcvbench_networks.initialisation import set_prior
from mlcvbench_networks.pyramid import FeaturePyramid

SIDES = (61, 75)
OBJECTS = [  # x0, y0, x1, y1, class
    [(5, 8, 25, 30, 0), (40, 20, 66, 52, 1)],
    [(30, 25, 54, 41, 1)],
    [],
    [(8, 30, 28, 56, 0), (36, 4, 70, 22, 0)],
]
BOXES = [torch.tensor([row[:4] for row in rows], dtype=torch.float32).reshape(-1, 4) for rows in OBJECTS]
LABELS = [torch.tensor([row[4] for row in rows], dtype=torch.int64) for rows in OBJECTS]
NOBODY = [torch.zeros(len(labels), dtype=torch.bool) for labels in LABELS]
STEPS = 100
STRIDES = (4, 8, 16, 32)
GRIDS = [tuple(-(-side // stride) for side in SIDES) for stride in STRIDES]


def pictures() -> torch.Tensor:
    """Return noise with a bright rectangle an object, red of class 0, blue of class 1: (4, 3, H, W)."""
    images = torch.rand(4, 3, *SIDES, generator=torch.Generator().manual_seed(0)) * 0.2
    for image, rows in zip(images, OBJECTS, strict=True):
        for x0, y0, x1, y1, label in rows:
            image[2 * label, y0:y1, x0:x1] += 0.8
    return images


class Detector(nn.Module):
    """One 3x3 a level on a narrow pyramid, shared by the levels, with so many outputs a cell."""

    def __init__(self, outputs: int, logits: int) -> None:
        super().__init__()
        self.backbone = SmallResidual(widths=(16, 24, 32, 48))
        self.pyramid = FeaturePyramid(self.backbone.channels, 32)
        self.logits, self.boxes = nn.Conv2d(32, logits, 3, padding=1), nn.Conv2d(32, outputs, 3, padding=1)
        set_prior(self.logits, 0.05)

    def forward(self, images: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        return [(self.logits(level), self.boxes(level)) for level in self.pyramid(self.backbone(images))]


def joined(outputs, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits (B, N, 2) and boxes (B, N, width) of all levels."""
    return tuple(
        torch.cat([by_anchor(maps, wide) for maps in part], dim=1)
        for part, wide in zip(zip(*outputs, strict=True), (2, width), strict=True)
    )


class RetinaNet:
    layout = AnchorLayout([shaped(octave_sizes(4.0 * stride), (0.5, 1, 2)) for stride in STRIDES], STRIDES)
    anchors = torch.cat(layout.on(GRIDS))
    outputs, logits = 9 * 4, 9 * 2

    def loss(self, outputs) -> torch.Tensor:
        logits, deltas = joined(outputs, 4)
        losses = []
        for own, mine, boxes, labels, ignored in zip(logits, deltas, BOXES, LABELS, NOBODY, strict=True):
            # no band of left-out anchors: four pictures do not teach these anything else
            chosen = by_overlap(self.anchors, boxes, ignored, low=0.5, high=0.5, nearest=True)
            learns = chosen >= 0
            targets = encode_deltas(boxes[chosen[learns]], self.anchors[learns])
            losses += [focal(own, classes_of(chosen, labels)), smooth_l1(mine[learns], targets, int(learns.sum()), 0.1)]
        return sum(losses)

    def decode(self, outputs) -> tuple[torch.Tensor, torch.Tensor]:
        logits, deltas = joined(outputs, 4)
        return logits, decode_deltas(deltas, self.anchors)


class FCOS:
    points = torch.cat([points(grid, stride) for grid, stride in zip(GRIDS, STRIDES, strict=True)])
    counts = tuple(rows * columns for rows, columns in GRIDS)
    strides = torch.tensor(STRIDES, dtype=torch.float32).repeat_interleave(torch.tensor(counts))
    outputs, logits = 4, 2

    def loss(self, outputs) -> torch.Tensor:
        logits, decoded = self.decode(outputs)
        reach, losses = level_reach((12, 24, 48), self.counts), []
        for own, mine, boxes, labels, ignored in zip(logits, decoded, BOXES, LABELS, NOBODY, strict=True):
            chosen = by_centre(self.points, self.strides, reach, boxes, ignored)
            learns = chosen >= 0
            losses += [
                focal(own, classes_of(chosen, labels)),
                giou(mine[learns], boxes[chosen[learns]], int(learns.sum())),
            ]
        return sum(losses)

    def decode(self, outputs) -> tuple[torch.Tensor, torch.Tensor]:
        logits, sides = joined(outputs, 4)
        return logits, decode_sides(functional.softplus(sides), self.points, self.strides[:, None])


class CenterNet:
    outputs, logits = 4, 2

    def loss(self, outputs) -> torch.Tensor:
        logits, values = outputs[0]
        objects = list(zip(BOXES, LABELS, NOBODY, strict=True))
        maps = [heat_map(boxes, labels, ignored, 2, GRIDS[0], 4) for boxes, labels, ignored in objects]
        losses = [heat_map_focal(logits, HeatMap(*(torch.stack(part) for part in zip(*maps, strict=True))))]
        for own, boxes in zip(values, BOXES, strict=True):
            centres = encode_centres(boxes, GRIDS[0], 4)
            at = own[:, centres.cells[:, 1], centres.cells[:, 0]].T
            losses.append(smooth_l1(at[:, :2], centres.offsets, len(boxes), beta=0))
            losses.append(0.1 * smooth_l1(at[:, 2:], centres.sizes, len(boxes), beta=0))
        return sum(losses)

    def found(self, outputs, image: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        logits, values = outputs[0]
        peaks = heat_map_peaks(torch.sigmoid(logits[image]), 20)
        at = values[image][:, peaks.cells[:, 1], peaks.cells[:, 0]].T
        return decode_centres(Centres(peaks.cells, at[:, :2], at[:, 2:]), 4), peaks.scores, peaks.labels


def found(method, outputs, image: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return boxes, scores and labels of one image."""
    if isinstance(method, CenterNet):
        return method.found(outputs, image)
    logits, boxes = method.decode(outputs)
    scores, labels = torch.sigmoid(logits[image]).max(dim=1)
    kept = batched_nms(boxes[image], scores, labels, 0.5)
    return boxes[image][kept], scores[kept], labels[kept]


@pytest.mark.parametrize("kind", [RetinaNet, FCOS, CenterNet])
def test_a_detector_finds_what_it_has_learned_and_nothing_else(kind) -> None:
    torch.manual_seed(0)
    method, images = kind(), pictures()
    network = Detector(method.outputs, method.logits)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)

    for _ in range(STEPS):
        optimizer.zero_grad()
        method.loss(network(images)).backward()
        optimizer.step()

    with torch.no_grad():
        outputs = network(images)
        for image, (boxes, labels) in enumerate(zip(BOXES, LABELS, strict=True)):
            answers, scores, classes = found(method, outputs, image)
            sure = scores > 0.4
            same = (classes[sure][:, None] == labels) * box_iou(answers[sure], boxes)  # (answers, objects)
            assert (same.amax(dim=0) > 0.6).all() if len(same) else not len(boxes)
            assert (same.amax(dim=1) > 0.4).all() if len(boxes) else not len(same)
