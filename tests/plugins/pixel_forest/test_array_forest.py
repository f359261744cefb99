"""A forest kept as arrays answers exactly as scikit-learn's, and arrays that are no forest are never walked."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from mlcvbench.errors import RecordError
from mlcvbench_pixel_forest.forest import BLOCK, ArrayForest, from_sklearn


def samples(count, features=7, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, features)).astype(np.float32)
    rows[:, 0] = np.round(rows[:, 0] * 4) / 4  # equal values, so that some samples lie exactly on a threshold
    labels = (rows[:, 1] + rows[:, 2] * rows[:, 3] > 0).astype(np.int64) + (rows[:, 0] > 0.5)
    return rows, labels


@pytest.fixture(scope="module")
def grown():
    rows, labels = samples(600)
    return RandomForestClassifier(6, max_depth=9, min_samples_leaf=2, random_state=1, n_jobs=1).fit(rows, labels)


@pytest.fixture
def forest(grown):
    return from_sklearn(grown, 3)


@pytest.mark.parametrize("threads", [1, 3])
def test_probabilities_are_scikit_learns_bit_for_bit(grown, forest, threads):
    rows, _ = samples(2 * BLOCK + 5, seed=2)

    ours = forest.probabilities(np.ascontiguousarray(rows.T), threads)

    np.testing.assert_array_equal(ours, grown.predict_proba(rows))


def test_a_float32_on_either_side_of_a_float64_threshold_goes_where_scikit_learn_sends_it(grown, forest):
    tree = grown.estimators_[0].tree_
    rows, _ = samples(len(tree.threshold), seed=3)
    for row, feature, threshold in zip(rows, tree.feature, tree.threshold, strict=True):
        if feature >= 0:
            row[feature] = np.float32(threshold)
    above, below = (np.nextafter(rows, np.float32(side)) for side in (np.inf, -np.inf))

    for chosen in (rows, above, below):
        np.testing.assert_array_equal(forest.probabilities(chosen.T), grown.predict_proba(chosen))


def test_classes_without_a_sample_have_probability_zero():
    rows, labels = samples(100)
    grown = RandomForestClassifier(2, random_state=0).fit(rows, np.where(labels > 0, 4, 1))

    probabilities = from_sklearn(grown, 6).probabilities(rows.T)

    assert probabilities.shape == (100, 6)
    np.testing.assert_array_equal(probabilities[:, [1, 4]], grown.predict_proba(rows))
    assert not probabilities[:, [0, 2, 3, 5]].any()


def test_a_tree_of_one_leaf_answers_with_its_only_class():
    rows = np.zeros((5, 2), np.float32)
    grown = RandomForestClassifier(1, random_state=0).fit(rows, np.ones(5, np.int64))

    forest = from_sklearn(grown, 2)

    assert forest.probabilities(rows.T).tolist() == [[0.0, 1.0]] * 5
    assert forest.comparisons(rows.T) == 0


def test_comparisons_are_the_inner_nodes_on_each_samples_paths(grown, forest):
    rows, _ = samples(50, seed=4)

    passed = sum(int(tree.decision_path(rows).sum()) - len(rows) for tree in grown.estimators_)

    assert forest.comparisons(np.ascontiguousarray(rows.T)) == passed


def test_the_size_is_what_the_arrays_take(grown, forest):
    nodes = sum(tree.tree_.node_count for tree in grown.estimators_)
    leaves = sum(tree.get_n_leaves() for tree in grown.estimators_)

    assert forest.nbytes == 4 * 6 + 16 * nodes + 8 * 3 * leaves
    assert forest.numbers == 2 * (nodes - leaves) + 3 * leaves


def test_features_that_no_node_asks_for_can_be_left_away():
    rows, labels = samples(300, features=40)
    grown = RandomForestClassifier(2, max_depth=3, max_features=5, random_state=0).fit(rows, labels)

    small, used = from_sklearn(grown, 3).with_used_features()

    assert small.features == len(used) < 40
    np.testing.assert_array_equal(small.probabilities(rows[:, used].T), grown.predict_proba(rows))


def spoiled(forest: ArrayForest, name: str, place: int, value: float) -> dict[str, np.ndarray]:
    array = forest.arrays[name].copy()
    array[place] = value
    return forest.arrays | {name: array}


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("left", 0, 0),
        ("left", 0, -5),
        ("left", 0, 10**6),
        ("left", 1, 2),
        ("left", -1, 3),
        ("feature", 0, 7),
        ("feature", 0, -1),
        ("leaf", 0, 0),
        ("leaf", -1, 10**6),
        ("threshold", -1, 0.0),
        ("probability", 0, np.nan),
        ("roots", 0, 1),
        ("roots", 1, 10**6),
    ],
)
def test_arrays_with_one_wrong_number_are_no_forest(forest, name, place, value):
    with pytest.raises(RecordError, match="forest: the stored arrays are no trees"):
        ArrayForest(spoiled(forest, name, place, value), 7)


def test_arrays_of_unequal_length_are_no_forest(forest):
    with pytest.raises(RecordError) as caught:
        ArrayForest(forest.arrays | {"threshold": forest.arrays["threshold"][:-1]}, 7)

    expected = "forest: the stored arrays are no trees (a child, a feature or a leaf is out of place)."
    assert str(caught.value) == expected


def test_nodes_with_two_parents_are_refused_before_they_multiply():
    inner, width = 60, 2  # every level's two nodes point at the same two of the next: 2^60 paths
    left = np.array([1 + width * (node // 2 if node % 2 == 0 else (node + 1) // 2) for node in range(inner)], np.int32)
    left = np.concatenate([left, np.arange(inner, inner + 3, dtype=np.int32)])
    ends = np.arange(len(left)) >= inner
    arrays = {
        "roots": np.zeros(1, np.int32),
        "feature": np.zeros(len(left), np.int32),
        "threshold": np.where(ends, np.float32(np.inf), np.float32(0)),
        "left": left,
        "leaf": np.where(ends, np.cumsum(ends) - 1, -1).astype(np.int32),
        "probability": np.full((3, 2), 0.5),
    }

    with pytest.raises(RecordError, match="forest: the stored arrays are no trees"):
        ArrayForest(arrays, 1)


def test_a_tree_deeper_than_any_of_ours_is_refused():
    depth = 70
    inner = np.arange(2 * depth + 1) % 2 == 0
    inner[-1] = False  # a chain: every even node has a leaf and the next even node below it
    left = np.where(inner, np.arange(2 * depth + 1) + 1, np.arange(2 * depth + 1)).astype(np.int32)
    arrays = {
        "roots": np.zeros(1, np.int32),
        "feature": np.zeros(len(left), np.int32),
        "threshold": np.where(inner, np.float32(0), np.float32(np.inf)),
        "left": left,
        "leaf": np.where(inner, -1, np.cumsum(~inner) - 1).astype(np.int32),
        "probability": np.full((int((~inner).sum()), 2), 0.5),
    }

    with pytest.raises(RecordError) as caught:
        ArrayForest(arrays, 1)

    assert str(caught.value) == "forest: a stored tree has more than 64 levels below its root."


def test_whatever_single_number_is_changed_a_forest_is_refused_or_still_answers(forest):
    rng = np.random.default_rng(5)
    columns = np.ascontiguousarray(samples(40, seed=6)[0].T)
    refused = 0
    for _ in range(400):
        name = rng.choice(list(forest.arrays))
        array = forest.arrays[name].copy()
        raw = array.reshape(-1).view(np.uint8)
        raw[rng.integers(len(raw))] ^= np.uint8(1 << rng.integers(8))
        try:
            answers = ArrayForest(forest.arrays | {name: array}, 7).probabilities(columns)
        except RecordError:
            refused += 1
        else:
            assert answers.shape == (40, 3)
            assert np.isfinite(answers).all()

    assert 100 < refused < 400
