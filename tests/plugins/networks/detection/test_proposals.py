"""The choice of proposals against a plain loop and torchvision's; peaks of heat maps against their definition."""

from __future__ import annotations

import pytest
import torch
from support.boxes import random_boxes
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import box_iou

from mlcvbench_networks.detection.proposals import choose_proposals, heat_map_peaks

SIZE = (90, 101)


def levels(counts: tuple[int, ...], seed: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return boxes and logits of each level, some boxes over the borders, some outside, some without an area."""
    generator = torch.Generator().manual_seed(seed)
    boxes = [random_boxes(count, seed + place, dtype=torch.float32) * 1.6 - 30 for place, count in enumerate(counts)]
    for level in boxes:
        level[::7, 2] = level[::7, 0]
    return boxes, [torch.randn(count, generator=generator) for count in counts]


def plain_choice(boxes, logits, before, after, overlap, smallest) -> list[tuple[float, list[float]]]:
    together = []
    for level_boxes, level_logits in zip(boxes, logits, strict=True):
        ranked = sorted(zip(level_logits.tolist(), level_boxes.tolist(), strict=True), reverse=True)[:before]
        kept: list[tuple[float, list[float]]] = []
        for score, (x0, y0, x1, y1) in ranked:
            cut = [max(0.0, min(x0, SIZE[1])), max(0.0, min(y0, SIZE[0])), min(x1, SIZE[1]), min(y1, SIZE[0])]
            cut[2:] = [max(0.0, side) for side in cut[2:]]
            if cut[2] - cut[0] < smallest or cut[3] - cut[1] < smallest:
                continue
            mine = torch.tensor([cut])
            if all(float(box_iou(mine, torch.tensor([other]))) <= overlap for _, other in kept):
                kept.append((score, cut))
        together += kept
    return sorted(together, reverse=True)[:after]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("before", "after", "overlap", "smallest"), [(30, 25, 0.7, 1e-3), (1000, 1000, 0.3, 8.0)])
def test_proposals_are_those_of_a_plain_loop(seed, before, after, overlap, smallest) -> None:
    boxes, logits = levels((60, 20, 4), seed)

    chosen = choose_proposals(boxes, logits, SIZE, before=before, after=after, overlap=overlap, smallest=smallest)

    expected = plain_choice(boxes, logits, before, after, overlap, smallest)
    torch.testing.assert_close(chosen.logits, torch.tensor([score for score, _ in expected]))
    torch.testing.assert_close(chosen.boxes, torch.tensor([box for _, box in expected]))


def test_proposals_are_those_of_torchvision() -> None:
    boxes, logits = levels((200, 50, 12), seed=5)
    numbers = {"training": 40, "testing": 40}
    rpn = RegionProposalNetwork(AnchorGenerator(), torch.nn.Identity(), 0.7, 0.3, 256, 0.5, numbers, numbers, 0.7)

    theirs, _ = rpn.eval().filter_proposals(
        torch.cat(boxes)[None], torch.cat(logits)[None, :, None], [SIZE], [200, 50, 12]
    )

    ours = choose_proposals(boxes, logits, SIZE, before=40, after=40)
    torch.testing.assert_close(ours.boxes, theirs[0])


@pytest.mark.parametrize("count", [0, 1])
def test_there_may_be_no_proposals_at_all(count) -> None:
    outside = torch.tensor([[-20.0, 0.0, -10.0, 10.0]])[:count]

    chosen = choose_proposals([outside, outside[:0]], [torch.ones(count), torch.ones(0)], SIZE, before=10, after=10)

    assert chosen.boxes.shape == (0, 4)
    assert chosen.logits.shape == (0,)


def test_no_gradient_goes_through_the_choice() -> None:
    boxes, logits = levels((20,), seed=1)

    chosen = choose_proposals([boxes[0].requires_grad_()], [logits[0].requires_grad_()], SIZE, before=10, after=10)

    assert not chosen.boxes.requires_grad
    assert not chosen.logits.requires_grad


def test_peaks_are_the_cells_that_no_neighbour_exceeds_best_first() -> None:
    heat = torch.rand(3, 9, 7, generator=torch.Generator().manual_seed(0))

    peaks = heat_map_peaks(heat, count=500)

    expected = [
        (float(heat[label, y, x]), label, x, y)
        for label in range(3)
        for y in range(9)
        for x in range(7)
        if heat[label, y, x] == heat[label, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].max()
    ]
    found = zip(peaks.scores.tolist(), peaks.labels.tolist(), *peaks.cells.T.tolist(), strict=True)
    assert list(found) == sorted(expected, reverse=True)
    assert heat_map_peaks(heat, count=4).labels.tolist() == peaks.labels[:4].tolist()
