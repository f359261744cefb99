"""EfficientDet: the published parameters and operations of three sizes, its loss, outputs that say the truth."""

from __future__ import annotations

import pytest
import torch
from support.detecting import (
    average_precision,
    batch_of,
    farthest_from,
    multiply_adds,
    objects_of,
    parameters,
    predictions_of,
)
from support.onestage import exact_anchors, model_of
from torch.nn import functional

from mlcvbench.errors import RequestError
from mlcvbench_networks.widths import EFFICIENTDET

PUBLISHED = (3_880_067, 6_625_898, 8_097_039)
"""Parameters of D0, D1 and D2 by their authors, who have biases before batch norms, where they do nothing."""


def full_size(phi):
    """Return the published network, for the 90 classes of its authors."""
    backbone = f"timm:{EFFICIENTDET[phi].backbone}"
    return model_of(f"efficientdet_d{phi}", 90, backbone=backbone, levels=[3, 7], anchor=4.0)


@pytest.mark.parametrize("phi", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_it_has_the_published_parameters_less_biases_that_do_nothing(phi):
    width, cells, layers = EFFICIENTDET[phi][2:]
    idle = (8 * cells + 6 + 2 * layers) * width  # of the pyramid's nodes, its six 1x1 and the layers of both heads

    assert parameters(full_size(phi)) == PUBLISHED[phi] - idle


@pytest.mark.slow
@pytest.mark.parametrize(("phi", "billions"), [(0, 2.5), (1, 6.1), (2, 11.0)])
def test_at_its_size_it_makes_the_published_multiply_adds(phi, billions):
    assert multiply_adds(full_size(phi), EFFICIENTDET[phi].size) == pytest.approx(billions * 1e9, rel=0.02)


@pytest.mark.parametrize("counts", [(1,), (0, 1, 5), (12, 0, 30)], ids=str)
def test_outputs_that_say_the_truth_are_read_as_the_truth(counts):
    model, objects = model_of("efficientdet_d0"), objects_of(counts)

    predictions = predictions_of(model, exact_anchors(model, objects), len(objects))

    assert [len(boxes) for boxes in predictions["boxes"]] == list(counts)
    assert average_precision(predictions, objects) == pytest.approx(1.0)


def test_200_objects_are_found_as_far_as_100_are_reported():
    model, objects = model_of("efficientdet_d1"), objects_of([200], side=12.0)

    predictions = predictions_of(model, exact_anchors(model, objects), 1)

    assert len(predictions["boxes"][0]) == 100
    assert farthest_from(objects[0], predictions["boxes"][0]) < 1e-3


def test_boxes_cost_50_times_hubers_loss_of_four_numbers():
    model, objects = model_of("efficientdet_d0"), objects_of([0, 4, 9])
    logits, deltas = exact_anchors(model, objects)
    off = torch.tensor(0.3)

    losses = model.loss(
        lambda images: (logits, [level + off for level in deltas]), batch_of(objects), torch.Generator()
    )

    huber = functional.huber_loss(off, torch.tensor(0.0), delta=0.1)
    assert losses["loss"] - losses["classes"] == pytest.approx(50 * float(huber), rel=1e-3)


def test_the_sizes_differ_in_channels_cells_and_backbone_alone():
    sizes = [parameters(model_of(f"efficientdet_d{phi}")) for phi in range(3)]

    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("levels", [[2, 5], [6, 7]], ids=str)
def test_levels_that_it_cannot_have_are_refused(levels):
    with pytest.raises(RequestError, match=r"efficientdet: wanted model\.levels from 2, 3, 4 or 5 to 6 or 7, got"):
        model_of("efficientdet_d0", levels=levels)
