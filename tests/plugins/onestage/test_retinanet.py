"""RetinaNet: torchvision's parameters, and outputs that say the truth are read as the truth."""

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
from torchvision.models.detection import retinanet_resnet50_fpn

from mlcvbench.errors import RequestError

PUBLISHED = {
    "backbone": "torchvision:resnet50",
    "width": 256,
    "levels": [3, 7],
    "layers": 4,
    "anchor": 4.0,
    "beyond": "pyramid",
}


@pytest.mark.parametrize("counts", [(1,), (0, 1, 5), (12, 0, 30)], ids=str)
@pytest.mark.parametrize("levels", [[2, 5], [3, 7]], ids=str)
def test_outputs_that_say_the_truth_are_read_as_the_truth(counts, levels):
    model, objects = model_of("retinanet", levels=levels), objects_of(counts)

    predictions = predictions_of(model, exact_anchors(model, objects), len(objects))

    assert [len(boxes) for boxes in predictions["boxes"]] == list(counts)
    assert average_precision(predictions, objects) == pytest.approx(1.0)


def test_200_objects_are_found_as_far_as_100_are_reported():
    model, objects = model_of("retinanet"), objects_of([200], side=12.0)

    predictions = predictions_of(model, exact_anchors(model, objects), 1)

    assert len(predictions["boxes"][0]) == 100
    assert farthest_from(objects[0], predictions["boxes"][0]) < 1e-3


def test_outputs_that_say_nothing_are_no_detections():
    model = model_of("retinanet")

    assert [len(boxes) for boxes in predictions_of(model, exact_anchors(model, objects_of([0, 0])), 2)["boxes"]] == [
        0,
        0,
    ]


def test_the_truth_costs_nothing():
    model, objects = model_of("retinanet"), objects_of([0, 4, 9])

    losses = model.loss(lambda images: exact_anchors(model, objects), batch_of(objects), torch.Generator())

    assert losses["boxes"] == pytest.approx(0, abs=1e-6)
    assert losses["classes"] < 1e-4


def test_at_full_size_it_is_torchvisions_to_the_parameter():
    with torch.device("meta"):
        theirs = retinanet_resnet50_fpn(weights=None, weights_backbone=None)

    ours = parameters(model_of("retinanet", 91, **PUBLISHED))

    assert ours == sum(part.numel() for part in theirs.parameters()) == 34_068_119


def test_level_6_of_the_paper_comes_from_the_backbones_last_map():
    paper = parameters(model_of("retinanet", 91, **PUBLISHED | {"beyond": "backbone"}))

    assert paper == 34_068_119 + 9 * 256 * (2048 - 256)


@pytest.mark.slow
def test_at_800_pixels_it_makes_the_multiply_adds_of_the_catalogue():
    assert multiply_adds(model_of("retinanet", 91, **PUBLISHED), 800) == pytest.approx(151.54e9, abs=5e6)


@pytest.mark.parametrize("levels", [[2, 6], [6, 7], [5, 4]], ids=str)
def test_levels_that_it_cannot_have_are_refused(levels):
    with pytest.raises(RequestError, match=r"retinanet: wanted model\.levels from 2, 3, 4 or 5 to 5 or 7, got"):
        model_of("retinanet", levels=levels)
