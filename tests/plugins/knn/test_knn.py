"""k nearest neighbours: golden accuracies, scikit-learn as oracle, ties, errors, costs."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.neighbors import KNeighborsClassifier
from support.fitting import digits, fitted, images_batch, percent_right, problem, scores_of, split
from support.runs import config_for

from mlcvbench.contract import Device
from mlcvbench.errors import DataError, OverrideError, RecordError, RequestError
from mlcvbench_classification.idx_folder import load_fashion_mnist
from mlcvbench_knn import mlcvbench_models
from mlcvbench_knn.model import KNN

FASHION = Path("/usr/share/datasets/fashion-mnist")
FIXTURE = Path(__file__).parents[2] / "fixtures" / "knn" / "fashion_mnist_5nn.json"


def knn_on(images: np.ndarray, labels: np.ndarray, classes: int = 10, **params: object) -> KNN:
    return fitted(KNN(problem(images, classes), **params), split(images, labels))


def nearest_by_sorting(train: np.ndarray, queries: np.ndarray, k: int, p: float) -> np.ndarray:
    """Return the k nearest by (distance, index) in Python integers or float64: the definition itself."""
    left, right = (block.reshape(len(block), -1).astype(np.int64) for block in (queries, train))
    gaps = np.abs(left[:, None] - right[None])
    distances = gaps.max(axis=2) if p == math.inf else (gaps.astype(np.float64) ** p).sum(axis=2)
    return np.argsort(distances, axis=1, kind="stable")[:, :k]


def test_the_plugin_declares_knn_with_its_typed_settings():
    (spec,) = mlcvbench_models()

    assert (spec.name, [(p.name, p.type, p.default) for p in spec.params]) == (
        "knn",
        [("k", "int", 5), ("p", "float", 2.0), ("distance", "str", "lp")],
    )


@pytest.mark.parametrize(
    ("p", "k", "percent"),
    [(2, 1, 96.24), (2, 3, 96.49), (2, 5, 95.73), (2, 101, 90.21), (1, 1, 94.98), (1, 3, 95.48)],
)
def test_digits_accuracy_is_the_reference_value(p, k, percent):
    train, test = digits()

    assert round(percent_right(fitted(KNN(problem(np.zeros((1, 8, 8))), k=k, p=p), train), test), 2) == percent


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


@settings(max_examples=150, deadline=None)
@given(tied_data, st.sampled_from([1.0, 2.0, 3.0, math.inf]), st.data())
def test_votes_follow_the_definition_on_data_full_of_ties(shape, p, data):
    seed, count, width, values, classes = shape
    k = data.draw(st.integers(1, count))
    rng = np.random.default_rng(seed)
    train = rng.integers(0, values, (count, 1, width), dtype=np.uint8)
    queries = rng.integers(0, values, (7, 1, width), dtype=np.uint8)
    labels = rng.integers(0, classes, count)
    params = {"distance": "linf"} if p == math.inf else {"p": p}

    scores = scores_of(knn_on(train, labels, classes, k=k, **params), queries)

    voters = labels[nearest_by_sorting(train, queries, k, p)]
    votes = np.stack([(voters == label).sum(axis=1) for label in range(classes)], axis=1)
    assert np.array_equal(scores.argmax(axis=1), votes.argmax(axis=1))
    assert np.allclose(np.exp(scores), (votes + 1 / classes) / (k + 1))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.sampled_from([1, 2, math.inf]))
def test_predictions_are_those_of_scikit_learn_where_the_kth_place_is_not_tied(seed, k, p):
    rng = np.random.default_rng(seed)
    train, queries = (rng.integers(0, 12, (n, 2, 3), dtype=np.uint8) for n in (60, 40))
    labels = rng.integers(0, 3, 60)
    params = {"distance": "linf"} if p == math.inf else {"p": p}
    wide = [block.reshape(len(block), -1).astype(np.float64) for block in (train, queries)]

    ours = scores_of(knn_on(train, labels, 3, k=k, **params), queries).argmax(axis=1)

    oracle = KNeighborsClassifier(k, algorithm="brute", p=p).fit(wide[0], labels)
    distances = np.sort(oracle.kneighbors(wide[1], k + 1)[0], axis=1)
    clear = ~np.isclose(distances[:, k - 1], distances[:, k])
    assert np.array_equal(ours[clear], oracle.predict(wide[1])[clear])


def test_one_neighbour_knows_its_training_set_by_heart_unless_equal_images_have_several_labels():
    train, _ = digits()
    doubled = split(np.zeros((4, 8, 8), np.uint8), [3, 3, 7, 7])

    assert percent_right(fitted(KNN(problem(np.zeros((1, 8, 8))), k=1), train), train) == 100
    assert percent_right(fitted(KNN(problem(np.zeros((1, 8, 8))), k=1), doubled), doubled) == 50


def test_an_order_below_1_gives_no_distance_and_is_refused():
    with pytest.raises(OverrideError, match=r"^model\.p=0\.5: wanted a number from 1 to 100\.$"):
        config_for("model=knn", "model.p=0.5")


def test_differences_of_8_bit_values_do_not_wrap():
    train = np.array([[[250]], [[20]]], np.uint8)  # of 5, the first is 245 off; in 8 bits it would be 11

    for params in ({"p": 1.0}, {"p": 2.0}, {"p": 3.0}, {"distance": "linf"}):
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
    assert np.allclose(np.exp(scores[:, 3]), 5.1 / 6)


def test_one_class_and_all_neighbours_voting():
    train = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)

    assert scores_of(knn_on(train, [0, 0, 0], 1, k=3), train).tolist() == [[0.0]] * 3


@pytest.mark.parametrize("params", [{"p": 2.0}, {"p": 1.0}, {"p": 1.5}, {"distance": "linf"}])
def test_predictions_do_not_depend_on_the_batch_size(params):
    train, test = digits()
    images = test.arrays()[0]["image"][:90]
    model = fitted(KNN(problem(images), **params), train)

    one_by_one = np.concatenate([scores_of(model, images[i : i + 1]) for i in range(len(images))])

    assert np.array_equal(scores_of(model, images), one_by_one)


def test_an_empty_batch_gives_no_scores():
    train, _ = digits()
    model = fitted(KNN(problem(np.zeros((1, 8, 8)))), train)

    assert scores_of(model, np.zeros((0, 8, 8), np.uint8)).shape == (0, 10)


def test_colour_images_count_every_channel():
    train = np.zeros((2, 2, 2, 3), np.uint8)
    train[1, :, :, 2] = 100

    assert scores_of(knn_on(train, [0, 1], 2, k=1), train).argmax(axis=1).tolist() == [0, 1]


@pytest.mark.parametrize(("p", "metric"), [(1.0, "cityblock"), (math.inf, "chebyshev")])
def test_distances_beyond_float32_integers_stay_exact(p, metric):
    from mlcvbench_knn.minkowski import MinkowskiIndex

    rng = np.random.default_rng(0)
    images = rng.integers(250, 256, (3, 70_000), dtype=np.uint8)
    queries = np.zeros((2, 70_000), np.uint8)

    distances = MinkowskiIndex(images, 1, p).distances(queries)

    assert np.array_equal(distances, cdist(queries.astype(np.float64), images.astype(np.float64), metric))


@pytest.mark.parametrize("params", [{}, {"p": 1.0}])
def test_what_is_saved_and_loaded_predicts_the_same(tmp_path, params):
    train, test = digits()
    images = test.arrays()[0]["image"]
    model = fitted(KNN(problem(images), **params), train)

    model.save(tmp_path)
    again = KNN(problem(images), **params)
    again.load(tmp_path)

    assert np.array_equal(scores_of(model, images), scores_of(again, images))
    assert again.parameters().bytes == 1000 * 64 + 1000 * 4


def test_costs_name_what_each_distance_does():
    train, _ = digits()
    shape = np.zeros((1, 8, 8))
    euclid, city = (fitted(KNN(problem(shape), p=p), train).operations(None) for p in (2.0, 1.0))

    assert (euclid.macs, dict(euclid.other_ops)) == (64_000, {})
    assert (city.macs, dict(city.other_ops)) == (None, {"absolute_difference": 64_000})
    assert city.reason == "this distance has no multiply-adds"


def test_more_neighbours_than_training_images_is_refused():
    with pytest.raises(DataError) as error:
        knn_on(np.zeros((3, 2, 2), np.uint8), [0, 1, 2], k=4)

    assert str(error.value) == "knn: k=4 needs as many training images, got 3; set a smaller model.k."


def test_linf_takes_no_order():
    with pytest.raises(RequestError) as error:
        KNN(problem(np.zeros((1, 2, 2))), p=3.0, distance="linf")

    assert str(error.value) == "knn: distance=linf has no order, got p=3; leave out model.p."


def test_a_device_other_than_the_cpu_searches_the_euclidean_distance_only():
    model = KNN(problem(np.zeros((1, 2, 2))), p=1.0)
    model.to(Device("cuda"))

    with pytest.raises(RequestError) as error:
        fitted(model, split(np.zeros((5, 2, 2), np.uint8), [0] * 5))

    assert str(error.value) == "knn: only p=2 is searched on cuda; set device=cpu."


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_finds_the_neighbours_that_the_cpu_finds():
    train, test = digits()
    images = test.arrays()[0]["image"]
    models = [KNN(problem(images)) for _ in range(2)]
    models[1].to(Device("cuda"))

    ours, gpus = (scores_of(fitted(model, train), images) for model in models)

    assert np.array_equal(ours, gpus)


def test_images_it_cannot_compare_are_refused():
    model = knn_on(np.zeros((3, 2, 2), np.uint8), [0, 1, 2], k=1)
    sizes = [np.zeros((2, 2), np.uint8), np.zeros((3, 3), np.uint8)]
    cases = {
        "knn needs images of one size; set data.size=[H,W] to resize them.": sizes,
        "knn: wanted images of 4 values as in training, got 9.": np.zeros((1, 3, 3), np.uint8),
        "knn compares 8-bit images; wanted uint8, got float32.": np.zeros((1, 2, 2), np.float32),
    }
    for message, images in cases.items():
        with pytest.raises(DataError) as error:
            model.preprocess(images_batch(images))

        assert str(error.value) == message


def test_stored_neighbours_that_do_not_fit_together_are_refused(tmp_path):
    from mlcvbench_training.arrays import write_arrays

    model = KNN(problem(np.zeros((1, 2, 2)), 3), k=2)
    cases = {
        "neighbours.safetensors: 3 images and 2 labels, wanted as many.": ((3, 4), [0, 1]),
        "neighbours.safetensors: k=2 needs as many images, got 1.": ((1, 4), [0]),
        "neighbours.safetensors: labels from 0 to 3, wanted 0 to 2.": ((2, 4), [0, 3]),
    }
    for message, (shape, labels) in cases.items():
        arrays = {"images": np.zeros(shape, np.uint8), "labels": np.array(labels, np.int32)}
        write_arrays(tmp_path / "neighbours.safetensors", arrays)

        with pytest.raises(RecordError) as error:
            model.load(tmp_path)

        assert str(error.value) == message
