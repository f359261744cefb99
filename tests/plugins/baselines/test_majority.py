"""The floor: class frequencies of the training set, whatever the image."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from support.fitting import digits, fitted, percent_right, problem, scores_of, split

from mlcvbench.errors import DataError, RecordError
from mlcvbench.files.arrays import write_arrays
from mlcvbench_baselines import mlcvbench_models
from mlcvbench_baselines.majority import Majority

BLANK = np.zeros((1, 2, 2), np.uint8)


def majority_of(labels: list[int], classes: int = 3) -> Majority:
    return fitted(Majority(problem(BLANK, classes)), split(np.zeros((len(labels), 2, 2), np.uint8), labels))


def test_the_plugin_declares_majority():
    spec = next(spec for spec in mlcvbench_models() if spec.name == "majority")

    assert (spec.name, spec.kinds, spec.params, spec.ragged) == ("majority", ("classification",), (), True)


def test_probabilities_are_smoothed_class_frequencies():
    scores = scores_of(majority_of([2, 2, 0, 2]), np.zeros((5, 2, 2), np.uint8))

    assert scores.dtype == np.float32
    assert np.allclose(scores, [[2 / 7, 1 / 7, 4 / 7]] * 5)


def test_equally_frequent_classes_tie_so_that_the_lowest_label_wins():
    scores = scores_of(majority_of([1, 2, 2, 1]), BLANK)

    assert scores[0, 1] == scores[0, 2]
    assert scores.argmax() == 1


def test_accuracy_is_that_of_scikit_learns_dummy():
    train, test = digits()
    images, labels = (train.arrays()[0]["image"].reshape(1000, -1), train.targets()["label"])

    dummy = DummyClassifier(strategy="prior").fit(images, labels)

    right = percent_right(fitted(Majority(problem(np.zeros((1, 8, 8)))), train), test)
    assert right == pytest.approx(100 * dummy.score(np.zeros((797, 64)), test.targets()["label"]))


def test_images_of_any_size_and_no_images_are_answered():
    model = majority_of([0, 1])

    assert scores_of(model, [np.zeros((2, 9), np.uint8), np.zeros((1, 1, 3), np.uint8)]).shape == (2, 3)
    assert scores_of(model, np.zeros((0, 2, 2), np.uint8)).shape == (0, 3)


def test_what_is_saved_and_loaded_predicts_the_same(tmp_path):
    model, again = majority_of([0, 1, 1]), Majority(problem(BLANK, 3))

    model.save(tmp_path)
    again.load(tmp_path)

    assert np.array_equal(scores_of(model, BLANK), scores_of(again, BLANK))
    assert (again.parameters().trainable, again.operations(None).macs) == (3, 0)


def test_a_training_set_without_samples_is_refused():
    with pytest.raises(DataError) as error:
        majority_of([])

    assert str(error.value) == "majority: split 'train' has no samples, wanted at least 1."


def test_stored_counts_of_another_problem_are_refused(tmp_path):
    write_arrays(tmp_path / "majority.safetensors", {"counts": np.zeros(4, np.int64)})

    with pytest.raises(RecordError) as error:
        Majority(problem(BLANK, 3)).load(tmp_path)

    assert str(error.value) == "majority.safetensors: wanted counts of 3 classes, got 4."
