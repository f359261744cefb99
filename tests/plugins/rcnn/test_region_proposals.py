"""The region proposal network: which anchors learn what, the loss, and the regions that are looked at further."""

from __future__ import annotations

import pytest
import torch
from support.detecting import FRAME, SURE, batch_of, built, objects_of
from support.regions import model_of
from torch.nn import functional
from torchvision.ops import box_iou

from mlcvbench.errors import PredictionError
from mlcvbench_networks.detection.anchors import AnchorLayout, shaped
from mlcvbench_networks.detection.assignment import BACKGROUND, LEFT_OUT
from mlcvbench_networks.detection.box_coding import encode_deltas
from mlcvbench_rcnn.region_proposals import AnchorAnswers, chosen_anchors, proposal_losses
from mlcvbench_training.sample_batch import Objects

LAYOUT = AnchorLayout([shaped([16.0], [0.5, 1.0, 2.0]), shaped([32.0], [0.5, 1.0, 2.0])], [4, 8])
GRIDS = [(FRAME[0] // 4, FRAME[1] // 4), (FRAME[0] // 8, FRAME[1] // 8)]
ANCHORS = torch.cat(LAYOUT.on(GRIDS))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def true_answers(objects: list[Objects]) -> AnchorAnswers:
    """Return what says that the anchors nearest to an object are it, and that all others are nothing."""
    logits, deltas = torch.full((len(objects), len(ANCHORS)), -SURE), torch.zeros(len(objects), len(ANCHORS), 4)
    for image, own in enumerate(objects):
        if len(own):
            most, best = box_iou(own.boxes, ANCHORS).max(dim=0)
            near = most >= 0.3
            deltas[image, near] = encode_deltas(own.boxes[best[near]], ANCHORS[near])
            logits[image, near] = SURE
    return AnchorAnswers(logits, deltas, ANCHORS, [len(level) for level in LAYOUT.on(GRIDS)])


def test_256_anchors_learn_of_which_half_are_objects_at_most():
    own = objects_of([30])[0]

    chosen = chosen_anchors(ANCHORS, own, seeded())

    assert (chosen != LEFT_OUT).sum() == 256
    assert 0 < (chosen >= 0).sum() <= 128


def test_anchors_of_objects_overlap_them_by_70_percent_or_most_and_background_by_less_than_30():
    own = objects_of([12])[0]
    overlaps = box_iou(own.boxes, ANCHORS)  # (M, N)

    drawn = [chosen_anchors(ANCHORS, own, seeded(seed)) for seed in range(20)]

    best = overlaps.amax(dim=1)
    for chosen in drawn:
        found = torch.nonzero(chosen >= 0).squeeze(1)
        own_overlap = overlaps[chosen[found], found]
        assert ((own_overlap >= 0.7) | (overlaps[:, found] == best[:, None]).any(dim=0)).all()
        assert (overlaps[:, chosen == BACKGROUND].amax(dim=0) < 0.3).all()
    assert {int(one) for chosen in drawn for one in chosen[chosen >= 0]} == set(range(12))


def test_what_is_drawn_is_the_same_for_the_same_generator():
    own = objects_of([12])[0]

    first, again, other = (chosen_anchors(ANCHORS, own, seeded(seed)) for seed in (1, 1, 2))

    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_anchors_that_cross_the_border_learn_nothing_where_the_frame_is_told():
    own = objects_of([12])[0]
    height, width = FRAME
    crossing = (ANCHORS[:, :2] < 0).any(1) | (ANCHORS[:, 2] > width) | (ANCHORS[:, 3] > height)

    alone, all_of_them = chosen_anchors(ANCHORS, own, seeded(), FRAME), chosen_anchors(ANCHORS, own, seeded())

    assert (alone[crossing] == LEFT_OUT).all()
    assert (all_of_them[crossing] != LEFT_OUT).any()


def test_the_truth_costs_nothing():
    objects = objects_of([0, 4, 9])

    objectness, boxes = proposal_losses(true_answers(objects), objects, seeded())

    assert objectness < 0.01
    assert boxes == pytest.approx(0, abs=1e-6)


def test_the_loss_is_the_mean_over_the_anchors_that_learn():
    """At logits of 0 the cross-entropy of any anchor is ln 2."""
    objects = objects_of([5, 0])
    said = true_answers(objects)

    objectness, _ = proposal_losses(said._replace(logits=torch.zeros_like(said.logits)), objects, seeded())

    assert objectness == pytest.approx(0.6931472)


def test_the_boxes_are_smooth_l1_over_all_anchors_that_learn():
    objects = objects_of([5])
    said = true_answers(objects)
    off = said._replace(deltas=said.deltas + 1.0)

    _, boxes = proposal_losses(off, objects, seeded())
    chosen = chosen_anchors(ANCHORS, objects[0], seeded())

    each = 4 * functional.smooth_l1_loss(torch.ones(()), torch.zeros(()), beta=1 / 9)
    assert boxes == pytest.approx(float(each * (chosen >= 0).sum() / (chosen != LEFT_OUT).sum()), rel=1e-5)


@pytest.mark.parametrize("counts", [(1,), (0, 1, 5), (12, 0, 30)], ids=str)
def test_outputs_that_say_the_truth_propose_every_object_once(counts):
    model = built(model_of("faster_rcnn_fpn", candidates=2000))
    proposer = model.module.eval().proposer
    objects = objects_of(counts)

    proposals = proposer.proposals(true_answers(objects), FRAME)

    for own, found in zip(objects, proposals, strict=True):
        assert len(found) <= 100
        if len(own):
            assert box_iou(own.boxes, found[: 2 * len(own)]).amax(dim=1).min() > 0.999


def test_twice_as_many_regions_are_looked_at_in_training():
    model = built(model_of("faster_rcnn_fpn", proposals=40))
    proposer = model.module.proposer
    said = true_answers(objects_of([0]))
    noise = said._replace(logits=torch.randn(1, len(ANCHORS), generator=seeded()))

    assert [len(own) for own in proposer.eval().proposals(noise, FRAME)] == [40]
    assert [len(own) for own in proposer.train().proposals(noise, FRAME)] == [80]


def test_regions_teach_nothing_to_the_network_that_proposed_them():
    model = built(model_of("faster_rcnn"))
    objects = objects_of([3, 2])

    lesson = model.module(batch_of(objects).inputs["image"], objects, seeded())

    assert not any(one.boxes.requires_grad for one in lesson.chosen)


@pytest.mark.parametrize("part", ["logits", "deltas"])
def test_answers_that_are_not_finite_are_refused_where_they_would_leave_no_region(part):
    network = built(model_of("faster_rcnn")).module.eval()
    said = true_answers(objects_of([3]))
    getattr(said, part)[0, 5] = torch.nan

    with pytest.raises(PredictionError, match=r"^the proposal network's answers are not finite\.$"):
        network.proposer.proposals(said, FRAME)
