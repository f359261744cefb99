"""The floor of detection: the same frequent boxes for every image."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench.contract import ArraySplit, Device, FitContext, InputSpec, Problem
from mlcvbench.errors import DataError, RecordError
from mlcvbench.files.arrays import read_arrays, write_arrays
from mlcvbench.testing import assert_conforms
from mlcvbench_baselines.box_prior import BoxPrior
from mlcvbench_detection.scenes import load_scenes

PROBLEM = Problem("detection", ("a", "b"), {"image": InputSpec((None, None, 3))})
IMAGE = np.zeros((100, 200, 3), np.uint8)


def split(rows, labels, **columns):
    targets = {
        "xywh": [np.array(row, float).reshape(-1, 4) for row in rows],
        "labels": [np.array(own, int) for own in labels],
        "size": np.tile([100, 200], (len(rows), 1)),
    }
    return ArraySplit("train", {"image": [IMAGE] * len(rows)}, targets | columns)


def fitted(train, boxes=8):
    model = BoxPrior(PROBLEM, boxes=boxes)
    model.fit(train, None, FitContext(seed=0, device=Device()))
    return model


def answer(model, image=IMAGE):
    out = model.predict(ArraySplit("test", {"image": [image]}, {}).read([0])[0])
    return [out[name][0].tolist() for name in ("boxes", "scores", "labels")]


TRAIN = split(
    [[[20, 10, 40, 20], [100, 50, 20, 20]], [[20, 10, 40, 20]], [[22, 12, 40, 20]], [[160, 80, 40, 20]]],
    [[0, 1], [0], [0], [0]],
)


def test_frequent_boxes_come_first_with_their_share_of_the_images():
    boxes, scores, labels = answer(fitted(TRAIN, boxes=2))

    assert scores == [0.75, 0.25, 0.25]
    assert labels == [0, 0, 1]
    np.testing.assert_allclose(boxes, [[62 / 3, 32 / 3, 182 / 3, 92 / 3], [160, 80, 200, 100], [100, 50, 120, 70]])


def test_boxes_keep_their_place_in_images_of_another_size_whatever_these_show():
    model = fitted(TRAIN, boxes=2)

    half = answer(model, np.full((50, 100, 3), 255, np.uint8))
    whole = answer(model)

    np.testing.assert_allclose(np.array(half[0]) * 2, whole[0], rtol=1e-6)
    assert half[1:] == whole[1:]


def test_crowds_and_difficult_objects_do_not_count():
    hidden = [np.array([False, True]), *[np.array([False])] * 3]

    for name in ("crowd", "difficult"):
        train = split(TRAIN.targets()["xywh"], TRAIN.targets()["labels"], **{name: hidden})
        assert 1 not in answer(fitted(train))[2]


def test_no_more_than_a_hundred_boxes_are_answered():
    rng = np.random.default_rng(0)
    rows = [np.concatenate([rng.uniform(0, 50, (150, 2)), rng.uniform(5, 50, (150, 2))], axis=1)]

    assert len(answer(fitted(split(rows, [np.arange(150) % 2]), boxes=100))[1]) == 100


def test_a_split_without_objects_is_refused():
    with pytest.raises(DataError) as caught:
        fitted(split([[], []], [[], []]))

    assert str(caught.value) == "box_prior: split 'train' has no object to learn from."


def test_it_keeps_the_contract():
    small = load_scenes({"level": "easy", "size": (64, 64), "train": 6, "val": 2, "test": 3}, 0)

    assert_conforms("box_prior", "detection", params={"boxes": 2}, data=small)


def test_foreign_weights_are_refused(tmp_path):
    model = fitted(TRAIN)
    model.save(tmp_path)
    file = tmp_path / "box_prior.safetensors"
    arrays = read_arrays(file, {})

    for change in ({"labels": arrays["labels"] + 5}, {"scores": arrays["scores"][:-1]}):
        write_arrays(file, arrays | change)
        with pytest.raises(RecordError) as caught:
            model.load(tmp_path)
        assert str(caught.value) == ("box_prior.safetensors: wanted boxes (n, 4), scores and labels (n,) of 2 classes.")
