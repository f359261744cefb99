"""The localizer: one object an image, its box as shares of the image's sides."""

from __future__ import annotations

import pytest
import torch
from support.detecting import FRAME, SURE, average_precision, batch_of, built, objects_of, predictions_of
from support.fitting import context
from support.regions import model_of

from mlcvbench.testing.toy import toy_data
from mlcvbench_rcnn.localizer import Answers, largest
from mlcvbench_training.sample_batch import Objects


def truth_of(objects: list[Objects], classes: int = 3) -> Answers:
    """Return the answers that say the first object of each image, in shares of the frame."""
    height, width = FRAME
    boxes = torch.stack([own.boxes[0] for own in objects]) / torch.tensor([width, height, width, height])
    labels = torch.stack([own.labels[0] for own in objects])
    return Answers(torch.nn.functional.one_hot(labels, classes) * SURE, boxes, FRAME)


def test_outputs_that_say_the_truth_are_read_as_the_truth():
    model, objects = model_of("localizer"), objects_of([1, 1, 1])

    predictions = predictions_of(model, truth_of(objects), len(objects))

    assert [len(boxes) for boxes in predictions["boxes"]] == [1, 1, 1]
    assert average_precision(predictions, objects) == pytest.approx(1.0)


def test_the_truth_costs_nothing():
    model, objects = model_of("localizer"), objects_of([1, 1, 1])

    losses = model.loss(lambda images: truth_of(objects), batch_of(objects), torch.Generator())

    assert losses["boxes"] == pytest.approx(0, abs=1e-6)
    assert losses["classes"] < 1e-4


def test_the_same_box_of_a_larger_image_is_the_same_number():
    model = built(model_of("localizer"))
    network = model.module.eval()

    with torch.no_grad():
        small, large = network(torch.zeros(1, 3, 64, 64)), network(torch.zeros(1, 3, 128, 192))

    assert small.boxes.shape == large.boxes.shape == (1, 4)
    assert model.decode(large)[0].boxes[0] == pytest.approx(large.boxes[0] * torch.tensor([192, 128, 192, 128]))


def test_of_several_objects_the_largest_is_learned_and_none_that_is_to_be_ignored():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 30, 20], [0, 0, 90, 90]])
    ignored = torch.tensor([False, False, True])

    assert largest(Objects(boxes, torch.zeros(3).long(), ignored)) == 1
    assert largest(Objects(boxes[2:], torch.zeros(1).long(), ignored[2:])) is None
    assert largest(Objects(boxes[:0], torch.zeros(0).long(), ignored[:0])) is None


def test_an_image_without_objects_teaches_nothing():
    model = built(model_of("localizer"))

    losses = model.loss(model.module, batch_of(objects_of([0, 0])), torch.Generator())
    losses["loss"].backward()

    assert losses["loss"] == 0
    assert not any(part.grad.any() for part in model.module.parameters() if part.grad is not None)


def test_it_learns_where_the_object_of_an_image_is():
    data = toy_data("detection")["toy"]
    model = model_of("localizer", len(data.problem.classes), width=64)

    history = model.fit(data.splits["train"], None, context(epochs=30, batch=8, lr=0.003)).history

    assert history["boxes"][-1] < 0.1 * history["boxes"][0]
    assert history["classes"][-1] < 0.8 * history["classes"][0]
