"""FCOS: torchvision's parameters, and outputs that say the truth are read as the truth."""

from __future__ import annotations

import pytest
import torch
from support.detecting import (
    SURE,
    average_precision,
    batch_of,
    by_level,
    farthest_from,
    grids_of,
    multiply_adds,
    objects_of,
    one_hot,
    parameters,
    predictions_of,
)
from support.onestage import model_of
from torchvision.models.detection import fcos_resnet50_fpn

from mlcvbench_networks.detection.anchors import points
from mlcvbench_networks.detection.assignment import by_centre, classes_of, level_reach
from mlcvbench_networks.detection.box_coding import centreness, encode_sides

PUBLISHED = {
    "backbone": "torchvision:resnet50",
    "width": 256,
    "levels": [3, 7],
    "layers": 4,
    "beyond": "pyramid",
    "scales": False,
}


def exact(model, objects):
    """Return the outputs that say these objects."""
    grids = grids_of(model.strides)
    sizes = [rows * columns for rows, columns in grids]
    at = torch.cat([points(grid, stride) for grid, stride in zip(grids, model.strides, strict=True)])
    strides = torch.tensor(model.strides).repeat_interleave(torch.tensor(sizes))[:, None]
    reach = level_reach([8 * stride for stride in model.strides[:-1]], sizes)
    columns = ([], [], [])
    for own in objects:
        chosen = by_centre(at, strides[:, 0], reach, own.boxes, own.ignored)
        learns = chosen >= 0
        sides = encode_sides(own.boxes[chosen[learns]], at[learns], strides[learns])
        logarithms, middles = torch.zeros(len(at), 4), torch.full((len(at), 1), -SURE)
        logarithms[learns] = sides.log()
        middles[learns, 0] = torch.logit(centreness(sides), eps=1e-5)
        logits = one_hot(classes_of(chosen, own.labels), len(model.problem.classes))
        for column, values in zip(columns, (logits, logarithms, middles), strict=True):
            column.append(values.split(sizes))
    return tuple(by_level(column, grids) for column in columns)


@pytest.mark.parametrize("counts", [(1,), (0, 1, 5), (12, 0, 30)], ids=str)
def test_outputs_that_say_the_truth_are_read_as_the_truth(counts):
    model, objects = model_of("fcos"), objects_of(counts)

    predictions = predictions_of(model, exact(model, objects), len(objects))

    assert [len(boxes) for boxes in predictions["boxes"]] == list(counts)
    assert average_precision(predictions, objects) == pytest.approx(1.0)


def test_large_objects_are_found_on_the_levels_of_the_paper():
    model, objects = model_of("fcos", levels=[3, 7]), objects_of([4, 2], side=80.0)

    assert average_precision(predictions_of(model, exact(model, objects), 2), objects) == pytest.approx(1.0)


def test_200_objects_are_found_as_far_as_100_are_reported():
    model, objects = model_of("fcos"), objects_of([200], side=12.0)

    predictions = predictions_of(model, exact(model, objects), 1)

    assert len(predictions["boxes"][0]) == 100
    assert farthest_from(objects[0], predictions["boxes"][0]) < 1e-3


def test_the_truth_costs_what_the_uncertainty_of_centres_costs():
    model, objects = model_of("fcos"), objects_of([0, 4, 9])

    losses = model.loss(lambda images: exact(model, objects), batch_of(objects), torch.Generator())

    assert losses["boxes"] == pytest.approx(0, abs=1e-5)
    assert losses["classes"] < 1e-4
    assert 0 < losses["centreness"] < 0.7  # the entropy of a target between 0 and 1


def test_at_full_size_it_is_torchvisions_to_the_parameter():
    with torch.device("meta"):
        theirs = fcos_resnet50_fpn(weights=None, weights_backbone=None)

    ours, scaled = (parameters(model_of("fcos", 91, **PUBLISHED | {"scales": scales})) for scales in (False, True))

    assert ours == sum(part.numel() for part in theirs.parameters()) == 32_322_720
    assert scaled == ours + 5


@pytest.mark.slow
def test_at_800_pixels_it_makes_the_multiply_adds_of_the_catalogue():
    assert multiply_adds(model_of("fcos", 91, **PUBLISHED), 800) == pytest.approx(128.21e9, abs=5e6)
