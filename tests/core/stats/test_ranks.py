"""Rank intervals and tie bands: what is parted, what is tied, and how seldom wrongly."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from mlcvbench.stats import bootstrap
from mlcvbench.stats import ranks as ranks_module
from mlcvbench.stats.ranks import rank_intervals


def made_up(values, n=1000, noise=0.01, shared=0.0, seed=0):
    """Return point values and replicates around them."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal(n)
    own = rng.standard_normal((len(values), n))
    spread = noise * (np.sqrt(shared) * common + np.sqrt(1 - shared) * own)
    return np.asarray(values, float), np.asarray(values, float)[:, None] + spread


def test_rows_far_apart_have_one_rank_each():
    ranks = rank_intervals(*made_up([0.5, 0.9, 0.7]))

    assert ranks.low.tolist() == ranks.high.tolist() == [3, 1, 2]
    assert ranks.band.tolist() == [2, 0, 1]
    assert ranks.method == "step-down max-|t|"


def test_lower_can_be_better():
    ranks = rank_intervals(*made_up([0.5, 0.9, 0.7]), higher_is_better=False)

    assert ranks.low.tolist() == [1, 3, 2]


@pytest.mark.parametrize("groups", [2, 5, 30, 1000])
def test_few_groups_separate_less(groups):
    t = np.array([0.0, 0.5, 2.0, 4.0, np.inf])

    found = ranks_module._normal_equivalent(t * np.sqrt(groups / (groups - 1)), groups)

    exact = norm.isf(student.sf(t, groups - 1))
    assert found[:-1] == pytest.approx(exact[:-1], abs=0.1 if groups == 2 else 0.02)
    assert found[-1] == np.inf


def test_equal_rows_of_few_groups_are_seldom_separated():
    rng, groups, wrong, trials = np.random.default_rng(0), 30, 0, 300
    weights = np.concatenate(list(bootstrap.resample_weights(np.arange(groups), 1000, seed=1))) / groups

    for _ in range(trials):
        scores = rng.normal(size=(1, groups)) + rng.normal(size=(5, groups))
        ranks = rank_intervals(scores.mean(axis=1), (weights @ scores.T).T, groups=groups)
        wrong += ranks.low.max() > 1

    assert wrong / trials <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / trials)


def test_identical_rows_are_tied():
    values, samples = made_up([0.9, 0.5])
    ranks = rank_intervals(values[[0, 0, 1]], samples[[0, 0, 1]])

    assert ranks.low.tolist() == [1, 1, 3]
    assert ranks.high.tolist() == [2, 2, 3]
    assert ranks.band.tolist() == [0, 0, 1]


def test_shared_resamples_part_rows_that_their_own_intervals_would_not():
    values, samples = made_up([0.900, 0.905], noise=0.01, shared=0.99)

    ranks = rank_intervals(values, samples)

    assert np.quantile(samples[0], 0.975) > np.quantile(samples[1], 0.025)
    assert ranks.low.tolist() == [2, 1]


def test_ties_need_not_be_transitive_and_bands_still_are():
    values, samples = made_up([0.920, 0.900, 0.880], noise=0.0072)

    ranks = rank_intervals(values, samples)

    assert (ranks.low.tolist(), ranks.high.tolist()) == ([1, 1, 2], [2, 3, 3])
    assert ranks.band.tolist() == [0, 0, 1]


def test_no_row_has_a_better_rank_than_a_row_that_surely_beats_it():
    values, samples = made_up(np.linspace(0.8, 0.95, 40), noise=0.01, shared=0.5)

    ranks = rank_intervals(values, samples)

    order = np.argsort(-values)
    assert (np.diff(ranks.band[order]) >= 0).all()
    assert (ranks.low <= ranks.high).all()
    assert ranks.low.min() == 1
    assert ranks.high.max() == 40


def test_a_row_with_many_undefined_replicates_is_parted_from_none():
    values, samples = made_up([0.9, 0.5, 0.7])
    samples[1, :200] = np.nan

    ranks = rank_intervals(values, samples)

    assert (ranks.low[1], ranks.high[1]) == (1, 3)
    assert (ranks.low[2], ranks.high[0]) == (2, 2)


def test_a_few_undefined_replicates_cost_nothing():
    values, samples = made_up([0.9, 0.5])
    samples[1, :20] = np.nan

    assert rank_intervals(values, samples).band.tolist() == [0, 1]


def test_rows_that_no_resample_changes_are_parted_by_their_values():
    values = np.array([1.0, 0.0])

    ranks = rank_intervals(values, np.repeat(values[:, None], 100, axis=1))

    assert ranks.low.tolist() == [1, 2]


def test_one_row_is_first():
    ranks = rank_intervals(*made_up([0.3]))

    assert (ranks.low.tolist(), ranks.high.tolist(), ranks.band.tolist()) == ([1], [1], [0])


def test_many_rows_are_tested_by_a_bound(monkeypatch):
    monkeypatch.setattr(ranks_module, "MOST_STEPDOWN_ROWS", 10)

    ranks = rank_intervals(*made_up(np.linspace(0.1, 0.9, 12)))

    assert ranks.method == "Bonferroni, normal"
    assert ranks.low.tolist() == list(range(12, 0, -1))


def test_step_down_parts_more_rows_than_a_single_step():
    values, samples = made_up([0.95, 0.5, 0.4, 0.3, 0.2, 0.1, 0.926, 0.9], noise=0.0059, seed=11)
    errors = ranks_module._difference_errors(samples - values[:, None])
    np.fill_diagonal(errors, 1)
    first = ranks_module._quantile_of_maxima(samples.astype(np.float32), (1 / errors).astype(np.float32), 0.95)
    t = np.abs(values[:, None] - values) / errors

    last = ranks_module._separated(values, samples - values[:, None], 0.95)

    assert last.sum() >= (t > first).sum()


@pytest.mark.parametrize("seed", range(5))
def test_rejecting_by_the_bound_first_ends_at_the_same_set(seed, monkeypatch):
    values, samples = made_up(np.linspace(0.1, 0.9, 30) ** 2, noise=0.01, shared=0.7, seed=seed)
    quick = ranks_module._separated(values, samples - values[:, None], 0.95)

    monkeypatch.setattr(ranks_module, "_bound_of_maxima", lambda *_: np.inf)

    assert np.array_equal(quick, ranks_module._separated(values, samples - values[:, None], 0.95))
    assert quick.any()


def test_false_separations_are_rare_over_the_whole_family():
    rng = np.random.default_rng(5)

    wrong = 0
    for _ in range(200):
        correct = rng.random((12, 400)) < 0.7  # 12 equal rows, each scored on the same 400 samples
        weights = np.concatenate(list(bootstrap.resample_weights(np.arange(400), 400, seed=0)))
        samples = correct @ weights.T / 400
        wrong += rank_intervals(correct.mean(axis=1), samples).band.any()

    assert wrong <= 20  # 5 % of 200 is 10; 20 would be three standard errors above
