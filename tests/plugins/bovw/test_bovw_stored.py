"""Stored visual words: the same scores when read back, and refused where they belong to other settings."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support.fitting import digits, fitted, problem, scores_of

from mlcvbench.errors import RecordError
from mlcvbench.files.arrays import read_arrays, write_arrays
from mlcvbench_bovw.model import ARRAYS, BagOfVisualWords, Vlad

DIGIT = np.zeros((1, 8, 8))
SOFT = {"assignment": "soft"}
SETTINGS = [
    (Vlad, {}),
    (Vlad, {"classifier": "knn", "k": 3}),
    (BagOfVisualWords, {}),
    (BagOfVisualWords, {"classifier": "knn", "k": 3}),
    (BagOfVisualWords, SOFT),
    (BagOfVisualWords, {"descriptor": "patch"}),
    (BagOfVisualWords, {"weighting": "tfidf", "points": "random", "scaling": "random"}),
]


def few():
    return digits()[0].take(range(60))


@pytest.mark.parametrize(("model_class", "settings"), SETTINGS)
def test_stored_words_give_the_same_scores(tmp_path, model_class, settings):
    unknown = digits()[1].arrays()[0]["image"][:20]
    model = fitted(model_class(problem(DIGIT), words=6, **settings), few())

    model.save(tmp_path)
    again = model_class(problem(DIGIT), words=6, **settings)
    again.load(tmp_path)

    assert np.array_equal(scores_of(again, unknown), scores_of(model, unknown))
    assert again.parameters() == model.parameters()


@pytest.mark.parametrize(
    ("stored", "asked", "difference"),
    [
        ((Vlad, {}), (BagOfVisualWords, {}), "'weight': wanted float32 (10 x 6), got float32 (10 x 768)"),
        ((BagOfVisualWords, {}), (Vlad, {}), "'weight': wanted float32 (10 x 768), got float32 (10 x 6)"),
        ((Vlad, {"descriptor": "patch"}), (Vlad, {}), "'words': wanted float32 (6 x 128), got float32 (6 x 64)"),
        ((Vlad, {"words": 5}), (Vlad, {}), "'words': wanted float32 (6 x 128), got float32 (5 x 128)"),
        (
            (BagOfVisualWords, {}),
            (BagOfVisualWords, {"assignment": "soft"}),
            "'width': wanted float64 (1), got nothing",
        ),
        (
            (BagOfVisualWords, {"assignment": "soft"}),
            (BagOfVisualWords, {}),
            "'width': wanted nothing, got float64 (1)",
        ),
        (
            (BagOfVisualWords, {}),
            (BagOfVisualWords, {"weighting": "tfidf"}),
            "'rarity': wanted float32 (6), got nothing",
        ),
        ((Vlad, {}), (Vlad, {"classifier": "knn"}), "'vectors': wanted float32 (N x 768), got nothing"),
        (
            (BagOfVisualWords, {"classifier": "knn"}),
            (Vlad, {"classifier": "knn"}),
            "'vectors': wanted float32 (N x 768), got float32 (60 x 6)",
        ),
    ],
)
def test_words_of_other_settings_are_refused(tmp_path, stored, asked, difference):
    (their_class, theirs), (our_class, ours) = stored, asked
    fitted(their_class(problem(DIGIT), **{"words": 6, **theirs}), few()).save(tmp_path)
    message = f"{ARRAYS}: array {difference}; load it with the model and the settings that it was fitted with."

    with pytest.raises(RecordError, match=f"^{re.escape(message)}$"):
        our_class(problem(DIGIT), words=6, **ours).load(tmp_path)


def test_words_of_other_classes_are_refused(tmp_path):
    fitted(Vlad(problem(DIGIT), words=6), few()).save(tmp_path)

    with pytest.raises(RecordError, match=r"array 'weight': wanted float32 \(3 x 768\), got float32 \(10 x 768\); "):
        Vlad(problem(DIGIT, 3), words=6).load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "k", "message"),
    [
        ({"labels": np.zeros(59, np.int64)}, 5, "60 vectors and 59 labels, wanted as many."),
        ({}, 61, "k=61 needs as many, got 60; set a smaller model.k."),
        ({"labels": np.full(60, 10)}, 5, "labels from 10 to 10, wanted 0 to 9; fit the model again."),
    ],
)
def test_neighbours_that_contradict_themselves_are_refused(tmp_path, changes, k, message):
    fitted(BagOfVisualWords(problem(DIGIT), words=6, classifier="knn"), few()).save(tmp_path)
    write_arrays(tmp_path / ARRAYS, {**read_arrays(tmp_path / ARRAYS, {}), **changes})

    with pytest.raises(RecordError, match=f"^{re.escape(f'the stored neighbours: {message}')}$"):
        BagOfVisualWords(problem(DIGIT), words=6, classifier="knn", k=k).load(tmp_path)


def test_a_folder_without_words_is_refused_and_leaves_the_model_unfitted(tmp_path):
    model = Vlad(problem(DIGIT), words=6)

    with pytest.raises(RecordError, match=rf"^{ARRAYS}: there is no such file among the stored weights\.$"):
        model.load(tmp_path)
    assert model.reader is None
