"""The detector: it finds what it learned, drops overlaps strictly, and keeps the contract."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench.contract import ArraySplit, Device, FitContext, InputSpec, Problem
from mlcvbench.errors import DataError, RecordError
from mlcvbench.files.arrays import read_arrays, write_arrays
from mlcvbench.specs.values import complete
from mlcvbench.testing import assert_conforms
from mlcvbench_detection.scenes import load_scenes
from mlcvbench_detection.task import DetectionTask
from mlcvbench_hog import mlcvbench_models
from mlcvbench_hog.detector import MOST, HogSvm, suppress
from mlcvbench_hog.learning import fit_logistic
from mlcvbench_hog.truths import truths

(SPEC,) = mlcvbench_models()
QUICK = {"negatives": 200, "rounds": 1, "scales": 2, "window": 4}


@pytest.fixture(scope="module")
def scenes():
    return load_scenes({"level": "easy", "size": (96, 96), "train": 40, "val": 0, "test": 12}, 0)


@pytest.fixture(scope="module")
def detector(scenes):
    return fitted(scenes.splits["train"], scenes.problem)


def fitted(train, problem, budget=None, **params):
    model = HogSvm(problem, **complete(SPEC.params, QUICK | params))
    model.to(Device())
    model.report = model.fit(train, None, FitContext(seed=0, device=Device(), budget=budget))
    return model


def average_precision(model, data):
    split, task = data.splits["test"], DetectionTask()
    batch, targets = split.read(slice(0, None))
    checked = task.check(model.predict(batch), batch.ids, data.problem)
    scorer = task.scorer("coco/bbox/maxdet100@1", data.problem)
    return scorer.summarise(scorer.rows(checked, targets, np.arange(len(split))))["ap50"]


def test_it_finds_solids_that_it_has_not_seen(scenes, detector):
    assert average_precision(detector, scenes) > 0.3


def test_mining_adds_mistakes_and_the_budget_ends_it(scenes, detector):
    stopped = fitted(scenes.splits["train"].take(np.arange(6)), scenes.problem, budget=0.0, rounds=5)

    assert detector.report.history["hard_negatives"][0] > 0
    assert len(stopped.report.history["hard_negatives"]) == 1
    assert (detector.report.cut_short, stopped.report.cut_short) == (False, True)


def test_boxes_lie_in_the_image_and_scores_are_probabilities_best_first(scenes, detector):
    batch, _ = scenes.splits["test"].read(slice(0, 4))

    answer = detector.predict(batch)

    for boxes, scores, labels in zip(answer["boxes"], answer["scores"], answer["labels"], strict=True):
        assert 0 < len(scores) <= MOST
        assert boxes.min() >= 0
        assert boxes.max() <= 96
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert ((scores > 0) & (scores < 1)).all()
        assert (np.diff(scores) <= 0).all()
        assert set(labels) <= set(range(5))


def test_an_empty_scene_and_a_picture_too_small_for_any_window_hold_nothing_sure(scenes, detector):
    for image in (np.full((96, 96, 3), 90, np.uint8), np.zeros((1, 1, 3), np.uint8)):
        batch = ArraySplit("test", {"image": image[None]}, {}).read([0])[0]

        assert all(score < 0.9 for score in detector.predict(batch)["scores"][0])


def test_multiply_adds_are_counted_by_place_and_block(detector, scenes):
    batch, _ = scenes.splits["test"].read(slice(0, 2))
    inputs = detector.preprocess(batch)

    from mlcvbench_hog.features import pyramid

    levels = list(pyramid(inputs[0], detector.scales, 4))
    places = sum(level.blocks.shape[0] * level.blocks.shape[1] for level in levels)
    blocks = sum(template.features // 36 for template in detector.bank.templates)

    assert detector.operations(inputs).macs == places * blocks * 36


def test_it_keeps_the_contract(scenes):
    small = load_scenes({"level": "easy", "size": (64, 64), "train": 12, "val": 0, "test": 3}, 0)

    assert_conforms("hog_svm", "detection", params=QUICK, data=small)


def test_a_box_goes_only_when_it_overlaps_a_better_one_of_its_class_by_more_than_the_limit():
    boxes = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [0, 0, 10, 10], [40, 0, 50, 10]])  # the first two: IoU 1/3
    scores, labels = np.array([0.5, 0.9, 0.7, 0.1]), np.array([0, 0, 1, 0])

    assert suppress(boxes, scores, labels, 0.34).tolist() == [1, 2, 0, 3]
    assert suppress(boxes, scores, labels, 0.33).tolist() == [1, 2, 3]
    halves = np.array([[0.0, 0, 10, 10], [0, 0, 5, 10]])  # exactly one half
    assert suppress(halves, np.array([0.9, 0.8]), np.zeros(2, int), 0.5).tolist() == [0, 1]
    assert suppress(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), 0.5).tolist() == []


def test_of_equal_scores_the_first_box_stays():
    boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]])

    assert suppress(boxes, np.full(3, 0.5), np.zeros(3, int), 0.4).tolist() == [0]


def test_calibration_gives_the_share_of_hits_at_a_score():
    rng = np.random.default_rng(0)
    scores = rng.uniform(-1, 1, 20_000)
    hits = rng.uniform(size=20_000) < 1 / (1 + np.exp(-(3 * scores - 1)))

    slope, offset = fit_logistic(scores, hits)

    assert slope == pytest.approx(3, abs=0.15)
    assert offset == pytest.approx(-1, abs=0.1)
    assert fit_logistic(scores, np.zeros(20_000, bool)) == (1.0, 0.0)
    assert fit_logistic(scores, scores < 0)[0] > 0


def problem(classes=("a", "b")):
    return Problem("detection", classes, {"image": InputSpec((64, 64, 3))})


def boxed(rows, labels, **columns):
    """Return a split of grey noise, each image with the boxes of its row."""
    images = np.random.default_rng(0).integers(0, 256, (len(rows), 64, 64, 3), dtype=np.uint8)
    targets = {
        "xywh": [np.array(row, float).reshape(-1, 4) for row in rows],
        "labels": [np.array(own, int) for own in labels],
        "size": np.full((len(rows), 2), 64),
    }
    return ArraySplit("train", {"image": images}, targets | columns)


def test_crowds_and_difficult_objects_are_not_learned_from():
    split = boxed(
        [[[0, 0, 9, 9], [5, 5, 20, 20]], []], [[0, 1], []], crowd=[np.array([True, False]), np.zeros(0, bool)]
    )

    one, other = truths(split)

    assert one.ignored.tolist() == [True, False]
    assert one.boxes[1].tolist() == [5, 5, 25, 25]
    assert other.boxes.shape == (0, 4)


def test_a_split_without_objects_cannot_be_learned_from():
    with pytest.raises(DataError) as caught:
        fitted(boxed([[], []], [[], []]), problem())

    assert str(caught.value) == "hog_svm: split 'train' has no object to learn from."


def test_a_class_without_objects_is_never_found(scenes):
    split = boxed([[[10, 10, 20, 20]], [[30, 12, 18, 20]], [[4, 30, 20, 22]]], [[1], [1], [1]])

    model = fitted(split, problem())

    assert {template.label for template in model.bank.templates} == {1}
    assert all((labels == 1).all() for labels in model.predict(split.read([0, 1])[0])["labels"])


def test_what_is_loaded_is_what_was_saved_and_foreign_weights_are_refused(detector, scenes, tmp_path):
    detector.save(tmp_path)
    file = tmp_path / "hog_svm.safetensors"
    arrays = {name: np.array(value) for name, value in read_arrays(file, {}).items()}

    copy = HogSvm(scenes.problem, **detector.params)
    copy.load(tmp_path)

    batch, _ = scenes.splits["test"].read(slice(0, 2))
    for name, column in detector.predict(batch).items():
        for mine, loaded in zip(column, copy.predict(batch)[name], strict=True):
            np.testing.assert_array_equal(mine, loaded)
    assert copy.parameters() == detector.parameters()
    for change, message in (
        ({"weights": arrays["weights"][:-1]}, "the weights are not those of its"),
        ({"templates": arrays["templates"] + [9, 0, 0]}, "wanted windows (label, rows, columns) of 5 classes."),
        ({"biases": arrays["biases"][:-1]}, "the weights are not those of its"),
    ):
        write_arrays(file, arrays | {name: np.ascontiguousarray(value) for name, value in change.items()})
        with pytest.raises(RecordError) as caught:
            copy.load(tmp_path)
        assert str(caught.value).startswith("hog_svm.safetensors: ")
        assert message in str(caught.value)
