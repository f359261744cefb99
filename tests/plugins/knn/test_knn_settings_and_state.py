"""k nearest neighbours: the settings it takes, what it stores, what it counts, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from support.fitting import digits, fitted, images_batch, problem, scores_of, split
from support.runs import config_for

from mlcvbench.errors import DataError, OverrideError, RecordError
from mlcvbench.files.arrays import write_arrays
from mlcvbench.plan.planning import plan
from mlcvbench.plan.search import candidates
from mlcvbench_knn import mlcvbench_models
from mlcvbench_knn.knn import KNN


def test_the_plugin_declares_knn_with_its_typed_settings():
    (spec,) = mlcvbench_models()

    assert (spec.name, [(p.name, p.type, p.default) for p in spec.params]) == (
        "knn",
        [
            ("k", "int", 5),
            ("distance", "str", "lp"),
            ("p", "float", 2.0),
            ("weights", "str", "uniform"),
        ],
    )


def test_an_order_below_1_gives_no_distance_and_is_refused():
    with pytest.raises(OverrideError, match=r"^model\.p=0\.5: wanted a number from 1 to 100\.$"):
        config_for("model=knn", "model.p=0.5")


@pytest.mark.parametrize("distance", ["linf", "cosine"])
@pytest.mark.parametrize("p", [2, 3])
def test_an_order_beside_a_distance_that_has_none_is_refused_before_anything_starts(distance, p):
    with pytest.raises(OverrideError) as error:
        config_for("model=knn", f"model.p={p}", f"model.distance={distance}")

    assert str(error.value) == f"key 'model.p' has no effect: it needs model.distance=lp, got {distance}."


def test_orders_are_swept_and_searched_only_beside_the_distance_that_has_one():
    words = ["task=digits", "model=knn", "model.p=1,2", "model.distance=lp,linf"]
    wanted = [("lp", 1.0), ("lp", 2.0), ("linf", None)]

    runs = plan(words).configs
    (search,) = plan([*words, "select=grid"]).configs

    assert [(run.model_params["distance"], run.model_params["p"]) for run in runs] == [*wanted[:2], ("linf", 2.0)]
    tried = [one.settings for one in candidates(search, mlcvbench_models()[0])]
    assert [(one["model.distance"], one.get("model.p")) for one in tried] == wanted


@pytest.mark.parametrize("params", [{}, {"p": 1.0}, {"distance": "cosine", "weights": "distance"}], ids=str)
def test_what_is_saved_and_loaded_predicts_the_same(tmp_path, params):
    train, test = digits()
    images = test.arrays()[0]["image"]
    model = fitted(KNN(problem(images), **params), train)

    model.save(tmp_path)
    again = KNN(problem(images), **params)
    again.load(tmp_path)

    assert np.array_equal(scores_of(model, images), scores_of(again, images))
    assert again.parameters().bytes == 1000 * 64 + 1000 * 4


@pytest.mark.parametrize(
    ("params", "macs", "others"),
    [
        ({}, 64_000, {}),
        ({"weights": "distance"}, 64_000, {"reciprocal": 5}),
        ({"distance": "cosine"}, 64_064, {"division": 1000}),
        ({"p": 1.0}, None, {"absolute_difference": 64_000}),
        ({"p": 1.5, "weights": "distance"}, None, {"power_of_difference": 64_000, "reciprocal": 5}),
        ({"distance": "linf"}, None, {"absolute_difference": 64_000}),
    ],
    ids=str,
)
def test_costs_name_what_each_distance_does(params, macs, others):
    train, _ = digits()

    costs = fitted(KNN(problem(np.zeros((1, 8, 8))), **params), train).operations(None)

    assert (costs.macs, dict(costs.other_ops)) == (macs, others)
    assert costs.reason == (None if macs else "this distance has no multiply-adds")


def test_more_neighbours_than_training_images_is_refused():
    with pytest.raises(DataError) as error:
        fitted(KNN(problem(np.zeros((1, 2, 2)), 3), k=4), split(np.zeros((3, 2, 2), np.uint8), [0, 1, 2]))

    assert str(error.value) == "knn: k=4 needs as many training images, got 3; set a smaller model.k."


def test_a_model_that_was_not_fitted_says_so():
    with pytest.raises(DataError) as error:
        scores_of(KNN(problem(np.zeros((1, 2, 2)))), np.zeros((1, 2, 2), np.uint8))

    assert str(error.value) == "there are no neighbours: fit the model or load its weights first."


def test_images_it_cannot_compare_are_refused():
    train = split(np.zeros((3, 2, 2), np.uint8), [0, 1, 2])
    model = fitted(KNN(problem(np.zeros((1, 2, 2)), 3), k=1), train)
    sizes = [np.zeros((2, 2), np.uint8), np.zeros((3, 3), np.uint8)]
    cases = {
        "knn needs images of one size, and these differ.": sizes,
        "knn: wanted images of 4 values as in training, got 9.": np.zeros((1, 3, 3), np.uint8),
        "knn compares 8-bit images; wanted uint8, got float32.": np.zeros((1, 2, 2), np.float32),
    }
    for message, images in cases.items():
        with pytest.raises(DataError) as error:
            model.preprocess(images_batch(images))

        assert str(error.value) == message


def test_stored_neighbours_that_do_not_fit_together_are_refused(tmp_path):
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
