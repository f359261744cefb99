"""CenterNet: the published parameters, and outputs that say the truth are read as the truth."""

from __future__ import annotations

import pytest
import torch
from support.detecting import (
    average_precision,
    batch_of,
    farthest_from,
    grids_of,
    objects_of,
    parameters,
    predictions_of,
)
from support.onestage import model_of

from mlcvbench_networks.detection.assignment import cells_near, heat_maps
from mlcvbench_networks.detection.box_coding import encode_centres

PUBLISHED = {"backbone": "torchvision:resnet18", "width": 256, "skips": False, "boxes": "l1"}


def exact(model, objects):
    """Return the outputs that say these objects."""
    (grid,) = grids_of([4])
    heat = torch.logit(heat_maps(objects, len(model.problem.classes), grid, 4).values, eps=1e-5)
    sizes, offsets = torch.zeros(2, len(objects), 2, *grid)
    for place, own in enumerate(objects):
        true = encode_centres(own.boxes, grid, 4)
        told = true.sizes.log() if model.boxes == "giou" else true.sizes
        for reach in (1, 0):  # the object's own cell last
            cells, owner = cells_near(own.boxes, grid, 4, reach)
            x, y = cells.T
            offset = (true.cells + true.offsets)[owner] - cells
            sizes[place, :, y, x], offsets[place, :, y, x] = told[owner].T, offset.T
    return heat, sizes, offsets


@pytest.mark.parametrize("boxes", ["l1", "giou"])
@pytest.mark.parametrize("counts", [(1,), (0, 1, 5), (12, 0, 30)], ids=str)
def test_outputs_that_say_the_truth_are_read_as_the_truth(counts, boxes):
    model, objects = model_of("centernet", boxes=boxes), objects_of(counts)

    predictions = predictions_of(model, exact(model, objects), len(objects))

    assert average_precision(predictions, objects) == pytest.approx(1.0)


@pytest.mark.parametrize("boxes", ["l1", "giou"])
def test_200_objects_are_found_as_far_as_100_are_reported(boxes):
    model, objects = model_of("centernet", boxes=boxes), objects_of([200], side=12.0)

    predictions = predictions_of(model, exact(model, objects), 1)

    assert len(predictions["boxes"][0]) == 100
    assert farthest_from(objects[0], predictions["boxes"][0]) < 1e-3


@pytest.mark.parametrize(("boxes", "parts"), [("l1", ("sizes", "offsets")), ("giou", ("boxes",))])
def test_boxes_that_are_true_cost_nothing(boxes, parts):
    model, objects = model_of("centernet", boxes=boxes), objects_of([0, 4, 9])

    losses = model.loss(lambda images: exact(model, objects), batch_of(objects), torch.Generator())

    assert [float(losses[part]) for part in parts] == pytest.approx([0] * len(parts), abs=1e-4)


def test_the_loss_is_that_of_the_paper():
    model, objects = model_of("centernet", boxes="l1"), objects_of([3, 2])
    heat, sizes, offsets = exact(model, objects)

    losses = model.loss(lambda images: (heat, sizes + 2, offsets + 0.25), batch_of(objects), torch.Generator())

    assert losses["sizes"] == pytest.approx(4)  # two cells off in width and in height
    assert losses["offsets"] == pytest.approx(0.5)
    assert losses["loss"] == pytest.approx(float(losses["heat_map"]) + 0.1 * 4 + 0.5)


def test_with_resnet_18_and_80_classes_it_has_the_published_parameters():
    assert parameters(model_of("centernet", 80, **PUBLISHED)) == 15_820_372


def test_skips_bring_the_finer_maps_of_the_backbone_in():
    network = model_of("centernet", width=16).build()

    network(torch.rand(2, 3, 64, 96))[0].sum().backward()

    assert [tuple(skip.weight.shape[:2]) for skip in network.skips] == [(16, 96), (16, 48), (16, 24)]
    assert all(skip.weight.grad.any() for skip in network.skips)
