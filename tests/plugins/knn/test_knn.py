"""k nearest neighbours: golden accuracies, scikit-learn and the definition as oracles, ties, odd inputs."""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier
from support.fitting import digits, fitted, percent_right, problem, scores_of, split
from support.paths import FIXTURES

from mlcvbench_classification.idx_folder import load_fashion_mnist
from mlcvbench_knn.knn import KNN

FASHION = Path("/usr/share/datasets/fashion-mnist")
FIXTURE = FIXTURES / "knn" / "fashion_mnist_5nn.json"


def knn_on(images: np.ndarray, labels: np.ndarray, classes: int = 10, **params: object) -> KNN:
    return fitted(KNN(problem(images, classes), **params), split(images, labels))


def distances_by_definition(train: np.ndarray, queries: np.ndarray, distance: str, p: float) -> np.ndarray:
    """Return (B, N) distances: Lp in float64, cosine as its square, negated, in fractions, which has the same order."""
    left, right = (block.reshape(len(block), -1).astype(np.int64) for block in (queries, train))
    if distance == "cosine":
        squares = [Fraction(int(length)) for length in (right**2).sum(axis=1)]
        products = (left @ right.T).tolist()
        return np.array(
            [[-(a * a) / n if n else Fraction(0) for a, n in zip(row, squares, strict=True)] for row in products]
        )
    gaps = np.abs(left[:, None] - right[None])
    return gaps.max(axis=2) if distance == "linf" else (gaps.astype(np.float64) ** p).sum(axis=2)


VARIANTS = [{"p": 1.0}, {"p": 2.0}, {"p": 3.0}, {"distance": "linf"}, {"distance": "cosine"}]


@pytest.mark.parametrize(
    ("params", "percents"),
    [
        ({}, {1: 96.24, 3: 96.49, 5: 95.73, 101: 90.21}),
        ({"p": 1.0}, {1: 94.98, 3: 95.48}),
        ({"weights": "distance"}, {1: 96.24, 5: 95.36, 101: 91.34}),
        ({"distance": "cosine"}, {1: 96.61, 5: 95.73, 101: 89.34}),
        ({"distance": "cosine", "weights": "distance"}, {5: 95.86, 101: 91.97}),
    ],
    ids=str,
)
def test_digits_accuracy_is_the_reference_value(params, percents):
    train, test = digits()
    models = {k: KNN(problem(np.zeros((1, 8, 8))), k=k, **params) for k in percents}

    assert {k: round(percent_right(fitted(model, train), test), 2) for k, model in models.items()} == percents


@pytest.mark.slow
@pytest.mark.skipif(not FASHION.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_fashion_mnist_predictions_are_those_of_scikit_learn():
    reference = json.loads(FIXTURE.read_text())
    data = load_fashion_mnist({"root": str(FASHION)}, 0)
    parts = [data.splits[name].arrays() for name in ("train", "val") if name in data.splits]
    images = np.concatenate([inputs["image"] for inputs, _ in parts])
    labels = np.concatenate([targets["label"] for _, targets in parts])
    inputs, targets = data.splits["test"].arrays()

    model = knn_on(images, labels, k=5)
    predicted = np.concatenate([scores_of(model, block).argmax(axis=1) for block in np.split(inputs["image"], 10)])

    assert len(images) == 60_000
    assert int((predicted == targets["label"]).sum()) == reference["correct"]
    assert hashlib.sha256(predicted.astype(np.uint8).tobytes()).hexdigest() == reference["predictions_sha256"]


tied_data = st.integers(0, 2**32 - 1).flatmap(
    lambda seed: st.tuples(st.just(seed), st.integers(1, 40), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4))
)


@settings(max_examples=200, deadline=None)
@given(tied_data, st.sampled_from(VARIANTS), st.data())
def test_votes_follow_the_definition_on_data_full_of_ties(shape, params, data):
    seed, count, width, values, classes = shape
    k = data.draw(st.integers(1, count))
    rng = np.random.default_rng(seed)
    train = rng.integers(0, values, (count, 1, width), dtype=np.uint8)
    queries = rng.integers(0, values, (7, 1, width), dtype=np.uint8)
    labels = rng.integers(0, classes, count)

    scores = scores_of(knn_on(train, labels, classes, k=k, **params), queries)

    distances = distances_by_definition(train, queries, params.get("distance", "lp"), params.get("p", 2.0))
    voters = labels[np.argsort(distances, axis=1, kind="stable")[:, :k]]
    votes = np.stack([(voters == label).sum(axis=1) for label in range(classes)], axis=1)
    assert np.array_equal(scores.argmax(axis=1), votes.argmax(axis=1))
    assert np.allclose(scores, (votes + 1 / classes) / (k + 1))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.sampled_from([*VARIANTS, {"p": 1.5}]))
def test_predictions_are_those_of_scikit_learn_where_the_kth_place_is_not_tied(seed, k, params):
    rng = np.random.default_rng(seed)
    train, queries = (rng.integers(0, 12, (n, 2, 3), dtype=np.uint8) for n in (60, 40))
    labels = rng.integers(0, 3, 60)
    metric = {"linf": {"metric": "chebyshev"}, "cosine": {"metric": "cosine"}}.get(params.get("distance"), params)
    wide = [block.reshape(len(block), -1).astype(np.float64) for block in (train, queries)]

    ours = scores_of(knn_on(train, labels, 3, k=k, **params), queries).argmax(axis=1)

    oracle = KNeighborsClassifier(k, algorithm="brute", **metric).fit(wide[0], labels)
    distances = np.sort(oracle.kneighbors(wide[1], k + 1)[0], axis=1)
    clear = ~np.isclose(distances[:, k - 1], distances[:, k])
    assert np.array_equal(ours[clear], oracle.predict(wide[1])[clear])


def test_one_neighbour_knows_its_training_set_by_heart_unless_equal_images_have_several_labels():
    train, _ = digits()
    doubled = split(np.zeros((4, 8, 8), np.uint8), [3, 3, 7, 7])

    assert percent_right(fitted(KNN(problem(np.zeros((1, 8, 8))), k=1), train), train) == 100
    assert percent_right(fitted(KNN(problem(np.zeros((1, 8, 8))), k=1), doubled), doubled) == 50


def test_differences_of_8_bit_values_do_not_wrap():
    train = np.array([[[250]], [[20]]], np.uint8)  # of 5, the first is 245 off; in 8 bits it would be 11

    for params in VARIANTS[:-1]:
        assert scores_of(knn_on(train, [0, 1], 2, k=1, **params), np.array([[[5]]], np.uint8)).argmax() == 1


def test_equal_votes_go_to_the_lowest_label():
    train = np.array([[[0]], [[2]]], np.uint8)

    assert scores_of(knn_on(train, [2, 1], 3, k=2), train[:1]).argmax() == 1


def test_of_equal_distances_at_the_kth_place_the_lower_index_votes():
    train = np.array([[[9]], [[4]], [[6]]], np.uint8)

    assert scores_of(knn_on(train, [0, 1, 2], 3, k=1), np.array([[[5]]], np.uint8)).argmax() == 1


def test_copies_of_one_image_are_taken_in_the_order_of_training():
    train = np.full((500, 4, 4), 7, np.uint8)
    labels = np.repeat([3, 1], 250)

    scores = scores_of(knn_on(train, labels, k=5), train[:3])

    assert scores.argmax(axis=1).tolist() == [3, 3, 3]
    assert np.allclose(scores[:, 3], 5.1 / 6)


def test_one_class_and_all_neighbours_voting():
    train = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)

    assert scores_of(knn_on(train, [0, 0, 0], 1, k=3), train).tolist() == [[1.0]] * 3


@pytest.mark.parametrize("params", [*VARIANTS, {"p": 1.5}, {"weights": "distance"}], ids=str)
def test_predictions_do_not_depend_on_the_batch_size(params):
    train, test = digits()
    images = test.arrays()[0]["image"][:90]
    model = fitted(KNN(problem(images), **params), train)

    one_by_one = np.concatenate([scores_of(model, images[i : i + 1]) for i in range(len(images))])

    assert np.array_equal(scores_of(model, images), one_by_one)


@pytest.mark.parametrize("params", [*VARIANTS, {"weights": "distance"}], ids=str)
def test_an_empty_batch_gives_no_scores(params):
    train, _ = digits()
    model = fitted(KNN(problem(np.zeros((1, 8, 8))), **params), train)

    assert scores_of(model, np.zeros((0, 8, 8), np.uint8)).shape == (0, 10)


def test_colour_images_count_every_channel():
    train = np.zeros((2, 2, 2, 3), np.uint8)
    train[1, :, :, 2] = 100

    assert scores_of(knn_on(train, [0, 1], 2, k=1), train).argmax(axis=1).tolist() == [0, 1]
