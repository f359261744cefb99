"""YOLOv3: the published parameters and operations, priors from the training set, outputs that say the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from support.detecting import (
    SURE,
    average_precision,
    batch_of,
    built,
    by_level,
    farthest_from,
    grids_of,
    multiply_adds,
    objects_of,
    one_hot,
    parameters,
    predictions_of,
)
from support.fitting import context
from support.onestage import model_of

from mlcvbench.testing.toy import toy_data
from mlcvbench_networks.detection.assignment import BACKGROUND, LEFT_OUT
from mlcvbench_networks.detection.box_coding import decode_cells, encode_cells
from mlcvbench_onestage.clusters import clusters, shape_iou
from mlcvbench_onestage.yolov3 import COCO, sizes_in
from mlcvbench_training.sample_batch import Objects

PUBLISHED = {"backbone": "darknet53", "width": 128, "finest": 3, "priors": "coco"}
PRIORS = torch.tensor(COCO, dtype=torch.float32)


def best_place(box, strides):
    """Return scale, prior, row and column of the box that learns an object, by the paper's words."""
    width, height = float(box[2] - box[0]), float(box[3] - box[1])
    overlaps = []
    for wide, high in COCO:
        shared = min(width, wide) * min(height, high)
        overlaps.append(shared / (width * height + wide * high - shared))
    best = max(range(9), key=overlaps.__getitem__)
    stride = strides[best // 3]
    return best // 3, best % 3, int((box[1] + box[3]) / 2 // stride), int((box[0] + box[2]) / 2 // stride)


def exact(model, objects):
    """Return the outputs that say these objects."""
    grids, width = grids_of(model.strides), 5 + len(model.problem.classes)
    images = []
    for own in objects:
        maps = [torch.full((*grid, 3, width), -SURE) for grid in grids]
        for box, label in zip(own.boxes, own.labels, strict=True):
            scale, prior, row, column = best_place(box, model.strides)
            stride, cell = model.strides[scale], torch.tensor([[column, row]])
            code = encode_cells(box[None], cell, PRIORS[None, 3 * scale + prior], stride)[0]
            said = torch.cat((torch.logit(code[:2], eps=1e-6), code[2:], torch.tensor([SURE])))
            maps[scale][row, column, prior] = torch.cat((said, one_hot(label[None], width - 5)[0]))
        images.append([each.reshape(-1, width) for each in maps])
    return by_level(images, grids)


@pytest.mark.parametrize("counts", [(1,), (0, 1, 5), (12, 0, 30)], ids=str)
@pytest.mark.parametrize("finest", [2, 3])
def test_outputs_that_say_the_truth_are_read_as_the_truth(counts, finest):
    model, objects = built(model_of("yolov3", finest=finest)), objects_of(counts)

    predictions = predictions_of(model, exact(model, objects), len(objects))

    assert [len(boxes) for boxes in predictions["boxes"]] == list(counts)
    assert average_precision(predictions, objects) == pytest.approx(1.0)


def test_200_objects_are_found_as_far_as_100_are_reported():
    model, objects = built(model_of("yolov3")), objects_of([200], side=12.0)

    predictions = predictions_of(model, exact(model, objects), 1)

    assert len(predictions["boxes"][0]) == 100
    assert farthest_from(objects[0], predictions["boxes"][0]) < 1e-2


def test_the_truth_costs_no_more_than_the_places_in_cells_that_a_logistic_cannot_be_sure_of():
    model, objects = built(model_of("yolov3")), objects_of([0, 4, 9])
    outputs = exact(model, objects)

    true = model.loss(lambda images: outputs, batch_of(objects), torch.Generator())
    off = model.loss(lambda images: [level + 0.5 for level in outputs], batch_of(objects), torch.Generator())

    assert true["objects"] < 0.05  # of thousands of boxes
    assert true["classes"] < 1e-3
    assert true["boxes"] <= 2 * 2 * math.log(2) + 1e-4  # two numbers, weighed up to twice
    assert off["boxes"] > true["boxes"] + 0.2


def test_an_object_is_learned_by_the_prior_most_like_it_and_by_what_is_close_to_it_nothing():
    model = built(model_of("yolov3"))
    grids = grids_of(model.strides)
    maps = [torch.zeros(1, 24, *grid) for grid in grids]
    objects = objects_of([5])[0]
    places = [torch.cat(level) for level in zip(*model.boxes_of(maps), strict=True)]
    boxes = decode_cells(torch.zeros(len(places[0]), 4), *places)

    chosen = model.chosen(boxes, objects, maps)

    starts = np.concatenate([[0], np.cumsum([3 * rows * columns for rows, columns in grids])])
    for number, box in enumerate(objects.boxes):
        scale, prior, row, column = best_place(box, model.strides)
        assert chosen[starts[scale] + 3 * (row * grids[scale][1] + column) + prior] == number
    assert (chosen >= 0).sum() == 5
    assert {BACKGROUND, LEFT_OUT} <= set(chosen.tolist())


def test_of_two_objects_in_one_place_one_is_learned():
    model = built(model_of("yolov3"))
    maps = [torch.zeros(1, 24, *grid) for grid in grids_of(model.strides)]
    twice = torch.tensor([[40.0, 40.0, 60.0, 62.0]]).repeat(2, 1)
    objects = Objects(twice, torch.tensor([0, 1]), torch.zeros(2, dtype=torch.bool))
    nowhere = torch.zeros(sum(3 * level[0, 0].numel() for level in maps), 4)
    nowhere[:, 2:] = 1e-3

    chosen = model.chosen(nowhere, objects, maps)

    assert chosen[chosen >= 0].tolist() == [1]


def test_priors_are_clusters_of_the_training_boxes_and_stored_with_the_weights(tmp_path):
    data = next(iter(toy_data("detection").values()))
    model, again = (model_of("yolov3", len(data.problem.classes), width=16) for _ in range(2))

    model.fit(data.splits["train"], None, context(epochs=1, batch=8))
    model.save(tmp_path)
    again.load(tmp_path)

    priors = model.module.priors
    assert torch.equal(again.module.priors, priors)
    assert not torch.equal(priors, PRIORS)
    assert (priors <= 64).all()


def test_without_objects_the_priors_are_the_papers():
    data = toy_data("detection")["no object in any image"]
    model = model_of("yolov3", len(data.problem.classes), width=16)

    model.fit(data.splits["train"], None, context(epochs=1, batch=8))

    assert torch.equal(model.module.priors, PRIORS)


def test_clusters_find_the_shapes_that_boxes_were_drawn_from():
    shapes = torch.tensor([[8.0, 8.0], [30.0, 12.0], [20.0, 60.0]])
    generator = torch.Generator().manual_seed(0)
    drawn = shapes.repeat(40, 1) * (1 + 0.05 * torch.randn(120, 2, generator=generator))

    torch.testing.assert_close(clusters(drawn, 3), shapes, rtol=0.05, atol=0)


def test_equal_boxes_are_one_shape_as_often_as_wanted():
    assert clusters(torch.full((20, 2), 7.0), 9).tolist() == [[7.0, 7.0]] * 9


def test_the_iou_of_shapes_is_that_of_boxes_with_one_centre():
    assert shape_iou(torch.tensor([[4.0, 2.0]]), torch.tensor([[2.0, 4.0]])).item() == pytest.approx(1 / 3)


@pytest.mark.parametrize(("classes", "published"), [(80, 61_949_149), (20, 61_626_049)])
def test_at_full_size_it_has_the_published_parameters(classes, published):
    assert parameters(model_of("yolov3", classes, **PUBLISHED)) == published


@pytest.mark.slow
@pytest.mark.parametrize(("side", "billions"), [(416, 65.86), (608, 140.69)])
def test_it_makes_the_published_operations(side, billions):
    assert 2 * multiply_adds(model_of("yolov3", 80, **PUBLISHED), side) == pytest.approx(billions * 1e9, abs=6e6)


@pytest.mark.parametrize("column", ["crowd", "difficult", "ignore"])
def test_priors_are_of_boxes_that_are_learned(column):
    targets = {"xywh": [np.array([[0.0, 0, 10, 20], [0, 0, 60, 60]])], column: [np.array([False, True])]}

    assert sizes_in(targets).tolist() == [[10.0, 20.0]]
