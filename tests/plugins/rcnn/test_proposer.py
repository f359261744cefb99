"""Proposals as a detector: each is said to be an object of every class, so that recall is that of the proposals."""

from __future__ import annotations

import numpy as np
import pytest
from support.detecting import average_precision, objects_of, problem
from support.fitting import images_batch
from support.regions import SPECS

from mlcvbench.contract import Device
from mlcvbench.specs import load_target
from mlcvbench.testing import assert_conforms
from mlcvbench_rcnn.sliding_windows import sliding_windows


def proposer(name="selective_search", classes=3, **params):
    """Return a model with its declared defaults, changed by `params`."""
    spec = SPECS[name]
    declared = {param.name: param.default for param in spec.params}
    model = load_target(spec.target)(problem(classes), **declared | params)
    model.to(Device())
    return model


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_each_of_the_first_proposals_is_an_object_of_every_class():
    found = proposer(count=5).predict(images_batch(noise(2, 40, 50, 3)))

    boxes, scores, labels = (found[name][0] for name in ("boxes", "scores", "labels"))
    assert np.array_equal(boxes[::3], found["proposals"][0][:5])
    assert np.array_equal(boxes[::3], boxes[2::3])
    assert labels.tolist() == [0, 1, 2] * 5
    assert scores == pytest.approx(np.repeat([1.0, 0.8, 0.6, 0.4, 0.2], 3))
    assert len(found["proposals"][0]) > 5


def test_knowing_no_class_is_no_precision():
    objects = objects_of([5, 5])
    images = np.full((2, 160, 224, 3), 90, dtype=np.uint8)
    for image, own in zip(images, objects, strict=True):
        for x0, y0, x1, y1 in own.boxes.round().int().tolist():
            image[y0:y1, x0:x1] = [230, 40, 30]

    precision = average_precision(proposer().predict(images_batch(images)), objects)

    assert 0 < precision < 0.5


@pytest.mark.parametrize("name", ["selective_search", "sliding_windows"])
@pytest.mark.parametrize("shapes", [[(16, 16)], [(16, 16), (90, 61), (33, 140)], [(7, 200)]], ids=str)
def test_images_of_any_size_are_looked_at_also_together(name, shapes):
    images = [noise(*shape, 3) for shape in shapes]
    model = proposer(name)

    together = model.predict(images_batch(images))["proposals"]

    for image, own in zip(images, together, strict=True):
        assert np.array_equal(own, model.predict(images_batch([image]))["proposals"][0])
        assert 1 <= len(own) <= 2000
        assert (own[:, :2] >= 0).all()
        assert (own[:, 2:] <= image.shape[1::-1]).all()
        assert (own[:, 2:] > own[:, :2]).all()


@pytest.mark.parametrize("size", [(128, 128), (1500, 2000), (40, 400)], ids=str)
def test_windows_lie_evenly_in_eight_sizes_and_three_shapes(size):
    windows = sliding_windows(*size, 0).astype(np.float64)

    wide, high = (windows[:, 2:] - windows[:, :2]).T
    sides = np.unique((np.sqrt(wide * high) / min(size)).round(3))
    assert sides.tolist() == pytest.approx([2 ** (-n / 2) for n in range(7, -1, -1)], abs=2e-3)
    assert set((high / wide).round(2)) == {0.5, 1.0, 2.0}
    assert windows[:, :2].min(axis=0).tolist() == [0, 0]
    assert windows[:, 2:].max(axis=0) == pytest.approx(size[::-1])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["selective_search", "sliding_windows"])
def test_it_keeps_the_contract(name):
    assert_conforms(name, "detection")
