"""The detector: it finds faces it has not seen, by our code and by OpenCV's alike, and keeps the contract."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.cascades import random_cascade

from mlcvbench.contract import ArraySplit, Device, FitContext, InputSpec, Problem
from mlcvbench.errors import DataError, RecordError
from mlcvbench.files.arrays import read_arrays, write_arrays
from mlcvbench.specs.values import complete
from mlcvbench.testing import assert_conforms
from mlcvbench_detection.face_scenes import load_face_scenes
from mlcvbench_detection.task import DetectionTask
from mlcvbench_viola_jones import mlcvbench_models
from mlcvbench_viola_jones.classifier import STATE_FILE
from mlcvbench_viola_jones.detector import MOST, ViolaJones
from mlcvbench_viola_jones.learning import lowest_kept
from mlcvbench_viola_jones.opencv_xml import write_xml

SPEC = next(spec for spec in mlcvbench_models() if "detection" in spec.kinds)
QUICK = {"stages": 6, "features": 400, "negatives": 300, "copies": 2, "windows": 200_000}
PARAMS = {"level": "easy", "size": (96, 96), "sides": (26, 60), "most": 3, "train": 40, "val": 10, "test": 16}


@pytest.fixture(scope="module")
def scenes():
    return load_face_scenes(PARAMS, 0)


@pytest.fixture(scope="module")
def detector(scenes):
    return fitted(scenes)


@pytest.fixture(scope="module")
def shrinking(scenes):
    """Return a detector that shrinks images, and its twin that leaves the search to OpenCV."""
    model = fitted(scenes, search="image")
    twin = ViolaJones(scenes.problem, **(model.params | {"search": "opencv"}))
    twin.to(Device())
    twin._set(model.cascades, model.shapes)
    return model, twin


def fitted(data, budget=None, **params):
    model = ViolaJones(data.problem, **complete(SPEC.params, QUICK | params))
    model.to(Device())
    context = FitContext(seed=0, device=Device(), budget=budget)
    model.report = model.fit(data.splits["train"], data.splits.get("val"), context)
    return model


def average_precision(model, data):
    split, task = data.splits["test"], DetectionTask()
    batch, targets = split.read(slice(0, None))
    checked = task.check(model.predict(batch), batch.ids, data.problem)
    scorer = task.scorer("coco/bbox/maxdet100@1", data.problem)
    return scorer.summarise(scorer.rows(checked, targets, np.arange(len(split))))["ap50"]


def test_it_finds_faces_that_it_has_not_seen(scenes, detector):
    assert average_precision(detector, scenes) > 0.6


def test_every_stage_keeps_its_share_of_faces_and_halves_the_rest(detector):
    history = detector.report.history

    assert len(history["stumps"]) == detector.cascades[0].stages > 2
    assert min(history["detection"]) >= 0.995
    assert max(history["false_positives"]) <= 0.4
    assert (np.diff(history["left"]) < 0).all()


def test_faces_that_a_stage_keeps_are_those_above_its_limit():
    scores = np.arange(1000.0)

    for share in (1.0, 0.995, 0.5):
        assert (scores >= lowest_kept(scores, share)).mean() == pytest.approx(share)


def test_opencv_finds_the_same_windows_and_the_same_faces(scenes, shrinking):
    model, twin = shrinking
    batch, _ = scenes.splits["test"].read(slice(0, None))

    ours, theirs = (one.forward(one.preprocess(batch)) for one in shrinking)

    assert sum(len(windows.found[0].boxes) for windows in ours) > 50
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine.found[0].boxes, other.found[0].boxes)
        np.testing.assert_array_equal(mine.found[0].margins, other.found[0].margins)
    answer, twins = model.predict(batch), twin.predict(batch)
    for name, column in answer.items():
        for mine, other in zip(column, twins[name], strict=True):
            np.testing.assert_array_equal(mine, other)


def test_what_is_trained_here_is_run_by_opencv_from_the_exported_file(scenes, shrinking, tmp_path):
    model, _ = shrinking
    write_xml(model.cascades[0], tmp_path / "face.xml")
    batch, _ = scenes.splits["test"].read(slice(0, 6))

    classifier = cv2.CascadeClassifier(str(tmp_path / "face.xml"))

    for image, windows in zip(model.preprocess(batch), model.forward(model.preprocess(batch)), strict=True):
        boxes = windows.found[0].boxes.astype(int)
        rectangles = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        theirs = np.asarray(classifier.detectMultiScale(image, model.params["factor"], 0)).reshape(-1, 4)
        assert sorted(rectangles.tolist()) == sorted(theirs.tolist())


def test_a_cascade_from_a_file_is_run_and_not_learned(scenes, tmp_path):
    write_xml(random_cascade(3, 9), tmp_path / "cascade.xml")

    model = fitted(scenes, cascade=str(tmp_path / "cascade.xml"))

    assert model.report is None
    assert model.cascades[0].ends.tolist() == [3, 12]
    assert model.shapes.tolist() == [[1, 1]]
    two = Problem("detection", ("a", "b"), {"image": InputSpec((96, 96, 3))})
    with pytest.raises(DataError) as caught:
        ViolaJones(two, **model.params).fit(scenes.splits["train"], None, FitContext(seed=0, device=Device()))
    assert str(caught.value) == "viola_jones: model.cascade finds one class, the data have 2; leave it out."


def test_boxes_lie_in_the_image_best_first(scenes, detector):
    batch, _ = scenes.splits["test"].read(slice(0, 6))

    answer = detector.predict(batch)

    for boxes, scores, labels in zip(answer["boxes"], answer["scores"], answer["labels"], strict=True):
        assert len(scores) <= MOST
        assert boxes.min(initial=0) >= 0
        assert boxes.max(initial=0) <= 96
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert (np.diff(scores) <= 0).all()
        assert not labels.any()


def test_features_are_counted_where_they_were_evaluated_and_a_face_costs_more_than_a_blank(scenes, detector):
    batch, _ = scenes.splits["test"].read(slice(0, 1))
    shown = detector.operations(detector.preprocess(batch))

    blank = detector.operations([np.full((96, 96), 60, np.uint8)])

    windows = sum(level.rows * level.columns for level in detector.search.levels(96, 96))
    assert shown.macs is None
    assert shown.varies
    assert shown.other_ops["windows"] == blank.other_ops["windows"] == windows
    assert blank.other_ops["haar_features"] == 0
    assert shown.other_ops["integral_pixels"] == 2 * 96 * 96
    assert shown.other_ops["haar_features"] < windows * len(detector.cascades[0].features) / 3


def test_the_budget_ends_it_after_a_stage(scenes):
    model = fitted(scenes, budget=0.0)

    assert model.report.cut_short
    assert model.cascades[0].stages == 1


def test_a_split_without_objects_cannot_be_learned_from():
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    targets = {"xywh": [np.zeros((0, 4))] * 2, "labels": [np.zeros(0, int)] * 2, "size": np.full((2, 2), 64)}
    problem = Problem("detection", ("a",), {"image": InputSpec((64, 64, 3))})
    model = ViolaJones(problem, **complete(SPEC.params, QUICK))

    with pytest.raises(DataError) as caught:
        model.fit(ArraySplit("train", {"image": images}, targets), None, FitContext(seed=0, device=Device()))

    assert str(caught.value) == (
        "viola_jones: split 'train' has too few objects, or too little beside them, to learn from."
    )


def test_it_keeps_the_contract(scenes):
    assert_conforms("viola_jones", "detection", params=QUICK | {"stages": 3}, data=scenes)


def test_what_is_loaded_is_what_was_saved_and_foreign_weights_are_refused(scenes, detector, tmp_path):
    detector.save(tmp_path)
    arrays = {name: np.array(value) for name, value in read_arrays(tmp_path / STATE_FILE, {}).items()}
    batch, _ = scenes.splits["test"].read(slice(0, 4))

    copy = ViolaJones(scenes.problem, **detector.params)
    copy.load(tmp_path)

    for name, column in detector.predict(batch).items():
        for mine, loaded in zip(column, copy.predict(batch)[name], strict=True):
            np.testing.assert_array_equal(mine, loaded)
    assert copy.parameters() == detector.parameters()
    write_arrays(tmp_path / STATE_FILE, arrays | {"shapes": np.ones((2, 2))})
    with pytest.raises(RecordError) as caught:
        copy.load(tmp_path)
    assert str(caught.value) == "viola_jones.safetensors: wanted the shapes of 1 classes' boxes."
