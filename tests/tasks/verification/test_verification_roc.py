"""ROC numbers equal their definitions, scikit-learn, and themselves under weights, with ties."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from mlcvbench_verification import roc
from mlcvbench_verification.roc import WeightedRoc, roc_numbers

scored_pairs = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5000001, 0.75, 1.0, -3.0]), st.booleans()),
    min_size=2,
    max_size=60,
).filter(lambda pairs: 0 < sum(same for _, same in pairs) < len(pairs))


def weighted_numbers(similarity, same, first, second, weights):
    """The numbers under one row of weights."""
    many = WeightedRoc(similarity, same, first, second).numbers(np.asarray(weights)[None])
    return {name: values[0] for name, values in many.items()}


def arrays(pairs):
    return np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])


def brute_numbers(similarity, same):
    """All numbers from their definition: every threshold tried, every combination counted."""
    genuine, impostor = similarity[same], similarity[~same]
    wins = np.mean([(g > i) + 0.5 * (g == i) for g in genuine for i in impostor])
    thresholds = [np.inf, *np.unique(similarity)[::-1]]
    points = [((impostor >= threshold).mean(), (genuine < threshold).mean()) for threshold in thresholds]
    eer = None
    for (far0, frr0), (far1, frr1) in itertools.pairwise(points):
        if eer is None and far1 >= frr1:
            t = (frr0 - far0) / ((frr0 - far0) + (far1 - frr1))
            eer = far0 + t * (far1 - far0)
    numbers = {"auc": wins, "eer": eer}
    for k in range(1, 7):
        fits = [1 - frr for far, frr in points if round(far * len(impostor)) * 10**k <= len(impostor)]
        numbers[f"tar_at_far_1e-{k}"] = max(fits) if len(impostor) >= 10**k else np.nan
    return numbers


@settings(deadline=None, max_examples=150)
@given(scored_pairs)
def test_numbers_equal_their_definition(pairs):
    similarity, same = arrays(pairs)

    assert roc_numbers(similarity, same) == pytest.approx(brute_numbers(similarity, same), abs=1e-12, nan_ok=True)


@settings(deadline=None, max_examples=100)
@given(scored_pairs)
def test_weights_of_one_give_the_same_bits_as_no_weights(pairs):
    similarity, same = arrays(pairs)
    first, second = np.arange(len(same)), np.where(same, np.arange(len(same)), len(same))

    weighted = weighted_numbers(similarity, same, first, second, np.ones(len(same) + 1))

    for name, value in roc_numbers(similarity, same).items():
        assert weighted[name] == value or (np.isnan(weighted[name]) and np.isnan(value)), name


@settings(deadline=None, max_examples=100)
@given(scored_pairs, st.data())
def test_a_pair_of_weight_w_counts_like_w_pairs(pairs, data):
    similarity, same = arrays(pairs)
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(same), max_size=len(same))))
    images = np.arange(len(same))
    again = np.repeat(images, counts)
    weights = np.append(counts.astype(float), 1.0)

    weighted = weighted_numbers(similarity, same, images, np.where(same, images, len(same)), weights)

    repeated = roc_numbers(similarity[again], same[again])
    for name, value in repeated.items():
        assert weighted[name] == value or (np.isnan(weighted[name]) and np.isnan(value)), name


@settings(deadline=None, max_examples=100)
@given(scored_pairs, st.data())
def test_sums_that_are_kept_at_some_places_only_give_the_same_numbers(pairs, data):
    similarity, same = arrays(pairs)
    images = st.lists(st.integers(0, 9), min_size=len(same), max_size=len(same))
    first, second = np.array(data.draw(images)), np.array(data.draw(images))
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=10, max_size=10)), dtype=np.float64)
    everywhere = weighted_numbers(similarity, same, first, second, weights)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(roc, "_EVERYWHERE", 0)
        patch.setattr(roc, "_WEIGHED", 3)
        found = weighted_numbers(similarity, same, first, second, weights)

    assert np.array_equal([*found.values()], [*everywhere.values()], equal_nan=True)


@pytest.mark.parametrize("shift", [0.0, 4.0])
def test_many_weights_at_once_count_like_so_many_pairs(monkeypatch, shift):
    monkeypatch.setattr(roc, "_EVERYWHERE", 0)
    rng = np.random.default_rng(2)
    first, second = rng.integers(0, 30, (2, 9_000))
    same = rng.random(9_000) < 0.05
    similarity = np.round(rng.normal(0, 1, 9_000) + shift * same, 2)  # with a shift most impostors lie below all others
    weights = rng.integers(0, 4, (12, 30)).astype(np.uint8)

    many = WeightedRoc(similarity, same, first, second).numbers(weights)

    for row, found in zip(weights, zip(*many.values(), strict=True), strict=True):
        copies = row[first] * np.where(same, 1, row[second])
        wanted = roc_numbers(similarity.repeat(copies), same.repeat(copies))
        assert np.array_equal(found, [*wanted.values()], equal_nan=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64])
@pytest.mark.parametrize("held", [1, 10_000])
def test_neither_the_type_of_weights_nor_what_is_held_at_once_changes_a_bit(monkeypatch, dtype, held):
    monkeypatch.setattr(roc, "_EVERYWHERE", 0)
    rng = np.random.default_rng(3)
    first, second = rng.integers(0, 30, (2, 9_000))
    same = rng.random(9_000) < 0.05
    weighted = WeightedRoc(rng.normal(0, 1, 9_000) + same, same, first, second)
    weights = rng.integers(0, 256, (5, 30))  # sums of their products exceed float32
    wanted = weighted.numbers(weights.astype(np.float64))
    monkeypatch.setattr(roc, "_HELD", held)

    found = weighted.numbers(weights.astype(dtype))

    assert all(np.array_equal(found[name], values, equal_nan=True) for name, values in wanted.items())


@pytest.mark.parametrize("levels", [None, 40])
def test_numbers_equal_scikit_learn(levels):
    rng = np.random.default_rng(5)
    same = rng.random(20_000) < 0.3
    similarity = (rng.normal(0, 1, 20_000) + same).astype(np.float32)
    if levels:
        similarity = np.round(similarity * levels / 8) / levels
    fpr, tpr, _ = roc_curve(same, similarity, drop_intermediate=False)

    numbers = roc_numbers(similarity, same)

    assert numbers["auc"] == pytest.approx(roc_auc_score(same, similarity), abs=1e-12)
    for k in (1, 2, 3, 4):
        assert numbers[f"tar_at_far_1e-{k}"] == tpr[np.searchsorted(fpr, 10.0**-k, side="right") - 1]
    assert numbers["tar_at_far_1e-4"] == pytest.approx(tpr[np.searchsorted(fpr, 1e-4, side="right") - 1])
    assert np.isnan(numbers["tar_at_far_1e-5"])
    grid = np.linspace(0, 1, 2_000_001)
    assert numbers["eer"] == pytest.approx(grid[np.argmin(np.abs(1 - np.interp(grid, fpr, tpr) - grid))], abs=1e-6)


def test_the_lowest_rates_equal_scikit_learn_over_a_million_pairs_with_ties():
    rng = np.random.default_rng(6)
    same = np.arange(1_200_000) < 50_000
    similarity = np.round(rng.normal(0, 1, len(same)) + 4.5 * same, 3)
    fpr, tpr, _ = roc_curve(same, similarity, drop_intermediate=False)

    numbers = roc_numbers(similarity, same)

    for k in range(1, 7):
        assert numbers[f"tar_at_far_1e-{k}"] == tpr[np.searchsorted(fpr, 10.0**-k, side="right") - 1]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("levels", [3, 1000])
def test_blocks_do_not_change_the_numbers(monkeypatch, share, levels):
    rng = np.random.default_rng(1)
    same = rng.random(700) < share
    similarity = (rng.integers(0, levels, 700) + same * levels / 4).astype(np.float32)
    whole = roc_numbers(similarity, same)
    monkeypatch.setattr(roc, "_BLOCK", 16)
    monkeypatch.setattr(roc, "_LOOKUP", 5)

    in_blocks = roc_numbers(similarity, same)

    assert in_blocks == pytest.approx(whole, abs=0, rel=0, nan_ok=True)
    assert in_blocks == pytest.approx(brute_numbers(similarity, same), abs=1e-12, nan_ok=True)


def test_perfect_and_reversed_scores_reach_the_ends():
    same = np.array([True] * 10 + [False] * 10)
    similarity = np.arange(20, 0, -1.0)

    best, worst = roc_numbers(similarity, same), roc_numbers(-similarity, same)

    assert (best["auc"], best["eer"], best["tar_at_far_1e-1"]) == (1.0, 0.0, 1.0)
    assert (worst["auc"], worst["eer"], worst["tar_at_far_1e-1"]) == (0.0, 1.0, 0.0)


def test_equal_scores_are_chance():
    numbers = roc_numbers(np.zeros(6), np.array([True, False] * 3))

    assert (numbers["auc"], numbers["eer"]) == (0.5, 0.5)


def test_one_kind_of_pairs_has_no_numbers():
    assert np.isnan(list(roc_numbers(np.arange(3.0), np.ones(3, bool)).values())).all()
    one = (np.array([0.2, 0.4]), np.array([True, False]), np.array([0, 1]), np.array([0, 2]))
    assert np.isnan(list(weighted_numbers(*one, [1.0, 0.0, 1.0]).values())).all()
