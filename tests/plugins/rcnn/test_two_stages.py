"""What holds for every detector of two stages: it learns, takes any image, draws by seed, keeps the contract."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.detecting import assert_learned_from, batch_of, built
from support.fitting import context, images_batch
from support.regions import SPECS, masked_objects_of, model_of

from mlcvbench.testing import assert_conforms
from mlcvbench.testing.toy import toy_data
from mlcvbench_training.sample_batch import Objects

NAMES = ["faster_rcnn", "faster_rcnn_fpn", "mask_rcnn"]
"""Those whose network proposes regions itself."""
ALL = ["fast_rcnn", *NAMES]
TINY = {"width": 16, "hidden": 32, "candidates": 50, "proposals": 30, "regions": 16}


def tiny(name):
    """Return settings of a network that is small in tests."""
    return {key: value for key, value in TINY.items() if key in {param.name for param in SPECS[name].params}}


@pytest.fixture(scope="module", params=ALL)
def fitted(request):
    """Return a detector after a few steps on toy data, and its history."""
    data = toy_data("detection")["toy"]
    model = model_of(request.param, len(data.problem.classes), **tiny(request.param))
    report = model.fit(data.splits["train"], None, context(epochs=5, batch=8, lr=0.003))
    return model, report.history


def test_the_loss_falls_over_a_few_steps(fitted):
    _, history = fitted

    assert history["loss"][-1] < 0.7 * history["loss"][0]


@pytest.mark.parametrize("shapes", [[(16, 16)], [(300, 420)], [(16, 16), (90, 61), (33, 140)]], ids=str)
def test_images_of_any_size_are_looked_at_also_together(fitted, shapes):
    model, _ = fitted
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]

    together = model.predict(images_batch(images))

    for place, (height, width) in enumerate(shapes):
        boxes, scores = together["boxes"][place], together["scores"][place]
        assert len(boxes) == len(scores) == len(together["labels"][place]) <= 100
        assert (boxes >= 0).all()
        assert (boxes <= [width, height, width, height]).all()
        assert (np.diff(scores) <= 0).all()


def test_an_image_has_the_same_objects_in_a_batch_and_alone(fitted):
    model, _ = fitted
    images = np.random.default_rng(1).integers(0, 256, (3, 64, 96, 3), dtype=np.uint8)

    together, alone = model.predict(images_batch(images)), [model.predict(images_batch(one[None])) for one in images]

    for place, one in enumerate(alone):
        assert together["boxes"][place] == pytest.approx(one["boxes"][0], abs=1e-2)
        assert together["scores"][place] == pytest.approx(one["scores"][0], abs=1e-4)


def test_no_image_has_no_objects(fitted):
    model, _ = fitted

    assert not any(model.predict(images_batch(np.zeros((0, 64, 64, 3), np.uint8))).values())


def test_the_same_seed_fits_the_same_weights():
    data = toy_data("detection")["toy"]
    states = []
    for _ in range(2):
        model = model_of("faster_rcnn_fpn", len(data.problem.classes), **TINY)
        model.fit(data.splits["train"], None, context(seed=3, epochs=1, batch=8))
        states.append(model.module.state_dict())

    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("counts", [(0,), (1,), (0, 0), (0, 1, 200)], ids=str)
def test_no_object_one_and_200_are_learned_from(name, counts):
    assert_learned_from(built(model_of(name, **tiny(name))), masked_objects_of(counts, side=12.0))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_to_be_ignored_is_neither_an_object_nor_background(name):
    model = built(model_of(name, **tiny(name)))
    (own,) = masked_objects_of([1], side=120.0)
    ignored = Objects(own.boxes, own.labels, torch.ones(1, dtype=torch.bool), own.masks)
    images = batch_of([ignored]).inputs["image"]

    lesson = model.module(images, [ignored], torch.Generator().manual_seed(0))
    middles = (lesson.chosen[0].boxes[:, :2] + lesson.chosen[0].boxes[:, 2:]) / 2
    inside = ((middles > own.boxes[0, :2] + 30) & (middles < own.boxes[0, 2:] - 30)).all(dim=1)
    small = (lesson.chosen[0].boxes[:, 2:] - lesson.chosen[0].boxes[:, :2]).amax(dim=1) < 30

    assert (lesson.chosen[0].owners < 0).all()
    assert not (inside & small).any()


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_a_photograph_of_2000x1500_pixels_is_looked_at(name):
    model = built(model_of(name, **tiny(name)))
    photograph = np.random.default_rng(0).integers(0, 256, (1, 1500, 2000, 3), dtype=np.uint8)

    (boxes,) = model.predict(images_batch(photograph))["boxes"]

    assert (boxes >= 0).all()
    assert (boxes <= [2000, 1500, 2000, 1500]).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["localizer", *ALL])
def test_it_keeps_the_contract(name):
    assert_conforms(name, "detection", params=tiny(name))
