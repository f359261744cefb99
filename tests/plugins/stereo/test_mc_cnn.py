"""MC-CNN: published parameters, losses of the paper, features once an image, and matches that are what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.stereo import network_of
from torch.nn import functional

from mlcvbench.errors import RequestError
from mlcvbench_stereo.mc_cnn import binary_cross_entropy, hinge, matches

PUBLISHED = {"fast": {"width": 64, "layers": 4}, "accurate": {"width": 112, "layers": 4, "hidden": 384}}


@pytest.mark.parametrize(("net", "parameters"), [("fast", 111_424), ("accurate", 870_449)])
def test_the_networks_for_kitti_have_the_published_parameters(net, parameters):
    network = network_of("mc_cnn", net=net, **PUBLISHED[net]).build()

    assert sum(part.numel() for part in network.parameters()) == parameters


def test_a_score_looks_at_patches_of_nine_pixels():
    network = network_of("mc_cnn").build()
    image = torch.rand(1, 1, 21, 21, requires_grad=True)

    network.convolutions(image)[0, :, 10, 10].sum().backward()

    rows = image.grad[0, 0].abs().sum(1).nonzero()
    assert (int(rows.min()), int(rows.max())) == (6, 14)


def test_the_hinge_wants_the_true_match_a_fifth_above_the_wrong_one():
    good, bad = torch.tensor([0.9, 0.5]), torch.tensor([0.1, 0.6])

    assert hinge(good, bad) == pytest.approx((0 + 0.3) / 2)
    assert hinge(good[:0], bad[:0]) == 0


def test_the_accurate_network_learns_by_binary_cross_entropy():
    good, bad = torch.tensor([2.0, -1.0]), torch.tensor([-3.0, 0.5])

    logits, truth = torch.cat([good, bad]), torch.tensor([1.0, 1, 0, 0])
    assert binary_cross_entropy(good, bad) == pytest.approx(
        float(functional.binary_cross_entropy_with_logits(logits, truth))
    )


def test_true_matches_are_where_the_disparity_says_and_wrong_ones_two_to_eight_pixels_beside():
    disparity = torch.randint(0, 12, (2, 20, 60), generator=torch.Generator().manual_seed(0)).float()

    true, wrong = matches(disparity, torch.Generator().manual_seed(0))

    image, row, left, right = true.unbind(1)
    known = disparity[image, row, left]
    assert (known > 0).all()
    assert torch.equal(left - right, known.long())
    beside = (wrong[:, 3] - right).abs()
    assert torch.equal(wrong[:, :3], true[:, :3])
    assert (int(beside.min()), int(beside.max())) == (2, 8)
    assert ((wrong[:, 3] >= 0) & (wrong[:, 3] < 60)).all()


@pytest.mark.parametrize("net", ["fast", "accurate"])
def test_images_are_described_once_and_scored_as_their_pairs_are(net):
    network = network_of("mc_cnn", 6, net=net, width=8, hidden=8).build().eval()
    views = torch.rand(2, 1, 3, 10, 14)
    runs = []
    network.convolutions.register_forward_hook(lambda *_: runs.append(1))

    with torch.no_grad():
        volume = network(*views)
        assert len(runs) == 1
        places = torch.tensor([[0, y, x, x - d] for y in (0, 9) for x in (5, 13) for d in range(6)])
        pairs = network(*views, places)

    scores = (1 + pairs) / 2 if net == "fast" else pairs.sigmoid()
    alike = torch.stack([volume[0, left - right, y, left] for _, y, left, right in places.tolist()])
    torch.testing.assert_close(alike, scores, atol=1e-5, rtol=1e-4)
    assert not volume[0, 3, :, :3].any()  # left of the right image there is nothing to match


def test_scores_that_say_the_truth_give_it():
    model = network_of("mc_cnn", 16)
    costs = np.full((16, 20, 60), 1000, np.int16)
    costs[5, :, :30] = costs[9, :, 30:] = 0

    found = model.disparity(costs, np.zeros((20, 60), np.uint8))

    assert (found[:, 5:30] == 5).all()
    assert (found[:, 40:] == 9).all()


def test_penalties_in_the_wrong_order_are_refused():
    with pytest.raises(RequestError, match=r"^mc_cnn: p1=0.5, p2=0.5: wanted p2 larger than p1.$"):
        network_of("mc_cnn", p1=0.5, p2=0.5)
