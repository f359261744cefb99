"""Boosting: the best stump is the best one, and votes and weights are AdaBoost's as scikit-learn has it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import AdaBoostClassifier

from mlcvbench_viola_jones import boosting
from mlcvbench_viola_jones.boosting import AdaBoost, Ordered, halves, most_features
from mlcvbench_viola_jones.features import every_feature


@pytest.fixture(scope="module")
def problem():
    """Return 60 patches that a little brightness in one corner tells apart, signs, and 300 features."""
    rng = np.random.default_rng(0)
    patches = rng.integers(0, 256, (60, 24, 24)).astype(np.uint8)
    signs = np.where(np.arange(60) % 3 == 0, 1, -1)
    patches[signs > 0, 3:15, 3:9] -= patches[signs > 0, 3:15, 3:9] // 12
    features = every_feature(24, 24)
    return patches, signs, features.take(np.sort(rng.choice(len(features), 300, replace=False)))


class PlainStump(ClassifierMixin, BaseEstimator):
    """The definition: of every feature, threshold and sign, the first with the least weighted error."""

    def fit(self, x, y, sample_weight):
        self.classes_ = np.unique(y)
        least = np.inf
        for feature in range(x.shape[1]):
            values = np.unique(x[:, feature])
            for threshold in (values[1:] + values[:-1]) / 2:
                above = np.where(x[:, feature] < threshold, -1, 1)
                for side in (1, -1):
                    error = sample_weight[side * above != y].sum()
                    if error < least - 1e-12:
                        least, self.stump_ = error, (feature, threshold, side)
        return self

    def predict(self, x):
        feature, threshold, side = self.stump_
        return np.where(x[:, feature] < threshold, -side, side)


def test_rounds_are_those_of_scikit_learn_on_the_same_stumps(problem):
    patches, signs, features = problem
    ordered = Ordered(features.take(np.arange(40)), patches)
    x = np.stack([ordered.values(feature) for feature in range(40)], axis=1)
    theirs = AdaBoostClassifier(PlainStump(), n_estimators=6).fit(x, signs)

    ours = AdaBoost(ordered, signs, np.ones(60))
    for _ in range(6):
        ours.round()

    assert [stump.feature for stump in ours.stumps] == [own.stump_[0] for own in theirs.estimators_]
    np.testing.assert_allclose([stump.error for stump in ours.stumps], theirs.estimator_errors_, rtol=1e-9)
    np.testing.assert_allclose([abs(stump.left) for stump in ours.stumps], theirs.estimator_weights_, rtol=1e-6)
    # scikit-learn's value is divided by all votes, and counts a vote for one class as one against the other
    decided = theirs.decision_function(x) * theirs.estimator_weights_.sum() / 2
    np.testing.assert_allclose(ours.scores, decided, rtol=1e-5, atol=1e-5)


def test_three_mistakes_of_ten_have_the_numbers_of_the_catalogue():
    signs = np.where(np.arange(10) < 5, 1, -1)
    boosted = AdaBoost(_Fixed(signs * np.where(np.arange(10) < 3, -1, 1)), signs, np.ones(10))

    stump = boosted.round()

    assert stump.error == pytest.approx(0.3)
    assert abs(stump.left) == pytest.approx(0.8473, abs=1e-4)
    assert boosted.weights[:4].tolist() == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 14])


class _Fixed:
    """One feature with values -1 and 1."""

    def __init__(self, values):
        self._values = values.astype(np.float32)

    def values(self, feature):
        return self._values

    def best(self, signs, weights):
        error = weights[self._values != signs].sum()
        return boosting.Stump(0, np.float32(0), np.float32(-1), np.float32(1), error)


def test_a_mistake_then_weighs_as_much_as_all_that_is_right(problem):
    patches, signs, features = problem
    boosted = AdaBoost(Ordered(features, patches), signs, halves(signs))

    for _ in range(4):
        stump = boosted.round()
        votes = stump.vote(Ordered(features, patches).values(stump.feature))

        assert boosted.weights[votes * signs < 0].sum() == pytest.approx(0.5)


def test_a_threshold_never_parts_equal_values_and_blocks_change_nothing(problem, monkeypatch):
    patches, _, features = problem
    alike = np.repeat(patches[:20], 3, axis=0)  # every value occurs three times
    mixed = np.resize([1, -1, -1, 1, 1], 60)

    stump = Ordered(features, alike).best(mixed, halves(mixed))

    values = Ordered(features, alike).values(stump.feature)
    wrong = stump.vote(values) != mixed
    assert halves(mixed)[wrong].sum() == pytest.approx(stump.error)
    monkeypatch.setattr(boosting, "BLOCK", 7 * 60)
    assert Ordered(features, alike).best(mixed, halves(mixed)) == stump


def test_what_no_stump_tells_apart_ends_the_rounds_and_so_does_one_without_mistakes(problem):
    patches, signs, features = problem
    same = np.repeat(patches[:1], 10, axis=0)
    sides = np.resize([1, -1], 10)
    clear = patches.copy()
    clear[signs > 0, :, :12], clear[signs < 0, :, :12] = 0, 255

    stuck = AdaBoost(Ordered(features, same), sides, halves(sides))
    done = AdaBoost(Ordered(every_feature(24, 24).take(np.arange(0, 43_200, 9)), clear), signs, halves(signs))

    assert stuck.round() is None
    assert done.round().error == 0
    assert np.isfinite(done.scores).all()
    assert done.round() is None
    assert len(done.stumps) == 1


def test_half_of_the_weight_is_on_each_side():
    weights = halves(np.array([1, -1, -1, -1]))

    assert weights.tolist() == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6])


def test_memory_bounds_the_features():
    assert most_features(160) > 162_336
    assert most_features(5_000) * 5_000 * 3 <= 1 << 30
    assert most_features(100_000) * 100_000 * 5 <= 1 << 30
