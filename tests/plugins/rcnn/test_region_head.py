"""Fast R-CNN's head: which regions learn, the multi-task loss, and what is read from its answers."""

from __future__ import annotations

import math

import pytest
import torch
from support.detecting import objects_of
from support.regions import beside, true_answers
from torchvision.ops import box_iou

from mlcvbench_networks.detection.assignment import BACKGROUND
from mlcvbench_networks.detection.box_coding import REGIONS, encode_deltas
from mlcvbench_rcnn.region_head import Chosen, RegionAnswers, RegionHead, chosen_regions, detections_of, region_losses
from mlcvbench_training.sample_batch import Objects


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def proposals_of(own: Objects, count: int = 300) -> torch.Tensor:
    """Return boxes beside the objects, and as many anywhere."""
    corners = torch.rand(count, 2, generator=seeded(3)) * 150
    anywhere = torch.cat((corners, corners + 10 + torch.rand(count, 2, generator=seeded(4)) * 60), dim=1)
    near = [beside(own.boxes, step / 50) for step in range(10)]
    return torch.cat((*near, anywhere))


def test_64_regions_learn_of_which_a_quarter_hold_an_object_at_most():
    own = objects_of([20])[0]

    chosen = chosen_regions(proposals_of(own), own, 64, seeded())

    assert len(chosen.boxes) == 64
    assert (chosen.owners >= 0).sum() == 16


def test_a_region_holds_the_object_that_it_overlaps_by_half():
    own = objects_of([8])[0]

    boxes, owners = chosen_regions(proposals_of(own), own, 64, seeded())

    overlaps = box_iou(own.boxes, boxes)
    held = owners >= 0
    assert (overlaps[owners[held], torch.nonzero(held).squeeze(1)] >= 0.5).all()
    assert (overlaps[:, owners == BACKGROUND] < 0.5).all()


def test_without_a_proposal_the_objects_themselves_are_learned_and_never_those_to_be_ignored():
    own = objects_of([6])[0]
    ignored = torch.tensor([True] * 3 + [False] * 3)

    boxes, owners = chosen_regions(torch.zeros(0, 4), Objects(own.boxes, own.labels, ignored), 64, seeded())

    assert torch.equal(boxes, own.boxes[3:])
    assert owners.tolist() == [3, 4, 5]


def test_no_object_and_no_proposal_choose_no_region_and_cost_nothing():
    (own,) = objects_of([0])
    chosen = chosen_regions(torch.zeros(0, 4), own, 64, seeded())
    said = RegionAnswers([chosen.boxes], torch.zeros(0, 4), torch.zeros(0, 4, 4))

    assert [float(part) for part in region_losses(said, [chosen], [own])] == [0.0, 0.0]


def test_the_loss_is_the_cross_entropy_plus_smooth_l1_where_there_is_an_object():
    """Two regions, K = 2: one is background and costs ln 3; one is class 1, its deltas off by 0.5 and by 3."""
    boxes = torch.tensor([[10.0, 10, 30, 50], [60, 60, 80, 80]])
    own = Objects(boxes[:1] + 2, torch.tensor([1]), torch.zeros(1).bool())
    said = RegionAnswers([boxes], torch.zeros(2, 3), torch.zeros(2, 3, 4))
    said.deltas[0, 2] = encode_deltas(own.boxes, boxes[:1], REGIONS)[0] + torch.tensor([0.5, 0, 3.0, 0])
    said.deltas[0, :2] = 99.0  # of other classes: nobody asks
    said.deltas[1] = 99.0  # of a region without an object

    classes, moved = region_losses(said, [Chosen(boxes, torch.tensor([0, BACKGROUND]))], [own])

    assert classes == pytest.approx(math.log(3))
    assert moved == pytest.approx((0.5**2 / 2 + 3 - 0.5) / 2)


def test_deltas_are_ten_and_five_times_what_is_learned_of_anchors():
    """So that they have a deviation of about one."""
    anchor, box = torch.tensor([[40.0, 30, 60, 70]]), torch.tensor([[39.0, 36, 69, 56]])

    assert encode_deltas(box, anchor, REGIONS)[0] == pytest.approx(torch.tensor([2.0, -1, 2.027325, -3.465736]))


@pytest.mark.parametrize("counts", [(0,), (1,), (0, 3, 12)], ids=str)
def test_answers_that_say_the_truth_are_read_as_the_truth(counts):
    objects = objects_of(counts)

    found = detections_of(true_answers(objects, 3))

    for own, one in zip(objects, found, strict=True):
        sure = one.at(one.scores > 0.5)
        assert sure.boxes == pytest.approx(own.boxes, abs=1e-3)
        assert torch.equal(sure.labels, own.labels)


def test_the_background_is_no_class_that_is_found():
    found = detections_of(
        RegionAnswers([torch.tensor([[0.0, 0, 9, 9]])], torch.tensor([[0.0, 0, 0]]), torch.zeros(1, 3, 4))
    )

    assert found[0].labels.tolist() == [0, 1]
    assert found[0].scores == pytest.approx(torch.tensor([1 / 3, 1 / 3]), abs=1e-5)


def test_the_head_begins_with_the_deviations_of_the_paper():
    torch.manual_seed(0)
    head = RegionHead(490, 256, 20)

    assert float(head.classes.weight.detach().std()) == pytest.approx(0.01, rel=0.05)
    assert float(head.boxes.weight.detach().std()) == pytest.approx(0.001, rel=0.05)
    assert not head.classes.bias.any()
    assert not head.boxes.bias.any()
