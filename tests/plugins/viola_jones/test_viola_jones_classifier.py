"""The boosted classifier of patches: what it reaches on real faces, what it counts and stores, and the contract."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench.contract import ArraySplit, Device, FitContext, InputSpec, Problem
from mlcvbench.errors import DataError, RecordError
from mlcvbench.files.arrays import read_arrays, write_arrays
from mlcvbench.specs.values import complete
from mlcvbench.testing import assert_conforms
from mlcvbench_classification.lfw_subset import load_lfw_subset
from mlcvbench_viola_jones import mlcvbench_models
from mlcvbench_viola_jones.classifier import STATE_FILE, HaarBoost, as_patches

SPEC = next(spec for spec in mlcvbench_models() if "classification" in spec.kinds)


@pytest.fixture(scope="module")
def faces():
    """Return the 200 images of `lfw_subset`, labels and the problem."""
    data = load_lfw_subset({}, 0)
    images, labels = [], []
    for name in ("train", "val", "test"):
        inputs, targets = data.splits[name].arrays()
        images.append(inputs["image"])
        labels.append(targets["label"])
    return np.concatenate(images), np.concatenate(labels), data.problem


@pytest.fixture(scope="module")
def fitted(faces):
    images, labels, problem = faces
    return fit(problem, images[:120], labels[:120], stumps=10, features=500)


def fit(problem, images, labels, budget=None, **params):
    model = HaarBoost(problem, **complete(SPEC.params, params))
    model.to(Device())
    split = ArraySplit("train", {"image": images}, {"label": labels})
    model.report = model.fit(split, None, FitContext(seed=0, device=Device(), budget=budget))
    return model


def predicted(model, images):
    return model.predict(ArraySplit("test", {"image": images}, {}).read(slice(0, None))[0])["scores"]


@pytest.mark.slow
def test_in_five_folds_97_of_100_real_faces_score_higher_than_all_but_two_of_100_others(faces):
    images, labels, problem = faces
    fold = np.arange(200) // 2 % 5
    scores = np.zeros(200)

    for number in range(5):
        model = fit(problem, images[fold != number], labels[fold != number])
        answers = predicted(model, images[fold == number])
        scores[fold == number] = answers[:, 1] - answers[:, 0]

    assert (scores[labels == 1] > np.sort(scores[labels == 0])[-3]).sum() >= 97


def test_a_few_stumps_tell_most_faces_from_the_rest(faces, fitted):
    images, labels, _ = faces

    answers = predicted(fitted, images[120:]).argmax(axis=1)

    assert (answers == labels[120:]).mean() > 0.9
    assert fitted.report.history["train_error"][0] < 0.05


def test_of_more_than_two_classes_each_is_boosted_against_the_rest():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = rng.integers(0, 90, (60, 12, 12, 3), dtype=np.uint8)
    for label, (row, column) in enumerate(((0, 0), (0, 6), (6, 3))):
        images[labels == label, row : row + 6, column : column + 6] += 150
    problem = Problem("classification", ("a", "b", "c"), {"image": InputSpec((12, 12, 3))})

    model = fit(problem, images, labels, stumps=5, features=300)

    assert model.cascade.stages == 3
    assert (predicted(model, images).argmax(axis=1) == labels).all()


def test_features_are_counted_and_no_multiply_add(fitted):
    operations = fitted.operations(as_patches(np.zeros((1, 25, 25), np.uint8)))

    assert operations.macs is None
    assert operations.other_ops == {"haar_features": 10, "integral_pixels": 1152}


def test_the_budget_ends_the_rounds(faces):
    images, labels, problem = faces

    model = fit(problem, images[:40], labels[:40], budget=0.0, stumps=50, features=200)

    assert model.report.cut_short
    assert len(model.cascade.features) == 1


def test_one_class_alone_cannot_be_learned_from(faces):
    images, labels, problem = faces

    with pytest.raises(DataError) as caught:
        fit(problem, images[labels == 1], labels[labels == 1])

    assert str(caught.value) == "viola_jones: split 'train' shows one class only; wanted at least two."


def test_what_is_loaded_is_what_was_saved_and_foreign_weights_are_refused(faces, fitted, tmp_path):
    images, _, problem = faces
    fitted.save(tmp_path)
    arrays = {name: np.array(value) for name, value in read_arrays(tmp_path / STATE_FILE, {}).items()}

    copy = HaarBoost(problem, **fitted.params)
    copy.load(tmp_path)

    np.testing.assert_array_equal(predicted(copy, images), predicted(fitted, images))
    for change, message in (
        ({"stages": np.array([1, 1])}, "wanted 1 cascades of stages, got 2 of 1 stages."),
        ({"ends": arrays["ends"] + 1}, "its stumps are not those of its 1 stages."),
        ({"votes": arrays["votes"][:-1]}, "its stumps are not those of its 1 stages."),
        ({"boxes": arrays["boxes"] + 20}, "a rectangle reaches out of the window of 24 x 24 pixels."),
        ({"window": np.array([4, 4])}, "a rectangle reaches out of the window of 4 x 4 pixels."),
    ):
        write_arrays(tmp_path / STATE_FILE, arrays | change)
        with pytest.raises(RecordError) as caught:
            copy.load(tmp_path)
        assert str(caught.value) == f"viola_jones.safetensors: {message}"


def test_it_keeps_the_contract():
    assert_conforms("viola_jones", "classification", params={"stumps": 4, "features": 200})
