"""What is legal but surely not meant about predictions and labels is said."""

from __future__ import annotations

import numpy as np
import pytest
from support.classification import problem_of

from mlcvbench.contract import ArraySplit, Notice
from mlcvbench_classification.task import ClassificationTask

NAMES = ["cat", "cow", "dog"]
LABELS = np.array([0, 1, 2, 0])
SCORES = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
SCORES[0, 0] = SCORES[1, 1] = 5


def doubts(predictions: dict[str, np.ndarray], labels: np.ndarray = LABELS, protocol: str = "top1/single-crop@2"):
    split = ArraySplit("test", {"image": np.zeros((len(labels), 2, 2), np.uint8)}, {"label": labels})
    return ClassificationTask().notices(predictions, split, problem_of(NAMES), protocol)


def test_sound_predictions_raise_no_doubt():
    assert doubts({"scores": SCORES}) == []
    assert doubts({"labels": LABELS}) == []


@pytest.mark.parametrize("form", ["labels", "scores", "probabilities"])
def test_predictions_of_one_class_are_said(form):
    columns = {
        "labels": np.ones(4, np.int64),
        "scores": SCORES * 0.1 + np.array([0, 9, 0], np.float32),
        "probabilities": np.tile(np.array([0.2, 0.5, 0.3], np.float32), (4, 1)),
    }

    text = "all 4 samples were predicted to be 'cow'."
    assert doubts({form: columns[form]}) == [Notice("one-class-predicted", text, 4)]


def test_scores_that_are_all_equal_are_said():
    found = doubts({"scores": np.full((4, 3), 0.5, np.float32)})

    text = "all scores are 0.5, so at ties the first class is predicted everywhere."
    assert found[0] == Notice("scores-all-equal", text, 4)
    assert [notice.code for notice in found] == ["scores-all-equal", "one-class-predicted"]


def test_scores_of_two_values_are_said():
    text = (
        "scores take two values only, 0 and 1, as decisions do: top5, nll and ece then mean nothing. Give the scores "
        "before they were decided, or labels."
    )
    assert doubts({"scores": np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]}) == [Notice("scores-of-two-values", text, 4)]


def test_shares_of_the_votes_of_one_neighbour_are_not_decisions():
    votes = np.where(np.eye(3, dtype=bool)[[0, 1, 2, 0]], 2 / 3, 1 / 6).astype(np.float32)

    assert doubts({"probabilities": votes}) == []


def test_labels_of_one_class_are_said():
    text = "all 4 samples have the label 'dog', so most metrics mean little."
    assert doubts({"scores": SCORES}, np.full(4, 2)) == [Notice("labels-all-one-class", text, 4)]


def test_classes_without_samples_are_said():
    text = "1 of 3 classes have no sample in the test set: cow."
    assert doubts({"scores": SCORES}, np.array([0, 2, 0, 2])) == [Notice("classes-without-samples", text, 1)]


def test_the_protocol_that_is_kept_for_old_records_is_said():
    (notice,) = doubts({"scores": SCORES}, protocol="top1/single-crop@1")

    assert notice == Notice(
        "protocol-superseded",
        "protocol top1/single-crop@1 is kept for what was published under it: its ece gives a confidence of exactly 1 "
        "a bin of its own and takes probabilities through a logarithm, which moves round ones a bin down; use "
        "top1/single-crop@2.",
    )


def test_one_sample_raises_no_doubt():
    assert doubts({"scores": np.zeros((1, 3), np.float32)}, np.array([1])) == []
