"""Bootstrap replicates, intervals, paired differences, seed groups and rank intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from mlcvbench.contract.scoring import MetricSpec, Scorer, Table
from mlcvbench.stats import bootstrap


class Mean(Scorer):
    """The weighted mean of column `x`, undefined when the weights of marked rows are all zero."""

    protocol_id = "mean@1"
    metrics = (MetricSpec("mean", "mean"), MetricSpec("marked", "mean over marked rows"))

    def rows(self, predictions, targets, units):
        return Table({"unit": units, **predictions})

    def summarise(self, table, weights=None):
        weights = np.ones(len(table)) if weights is None else weights[table["unit"]]
        marked = weights * table["mark"]
        return {
            "mean": float(weights @ table["x"] / weights.sum()),
            "marked": float(marked @ table["x"] / marked.sum()) if marked.sum() else None,
        }


def table_of(values, mark=None):
    values = np.asarray(values, dtype=np.float64)
    mark = np.ones(len(values)) if mark is None else np.asarray(mark, dtype=np.float64)
    return Table({"unit": np.arange(len(values)), "x": values, "mark": mark})


def test_the_seed_depends_on_data_and_protocol_alone():
    seed = bootstrap.seed_from("a" * 64, "top1@1")

    assert seed == 5303012393270935243
    assert seed != bootstrap.seed_from("b" * 64, "top1@1")
    assert seed != bootstrap.seed_from("a" * 64, "top1@2")
    assert 0 <= seed < 2**63


def test_each_resample_draws_as_many_groups_as_there_are():
    weights = np.concatenate(list(bootstrap.resample_weights(np.arange(50), 200, seed=1)))

    assert weights.shape == (200, 50)
    assert weights.dtype == np.float64
    assert (weights.sum(axis=1) == 50).all()


def test_every_group_is_drawn_equally_often():
    weights = np.concatenate(list(bootstrap.resample_weights(np.arange(20), 4000, seed=3)))

    assert weights.mean(axis=0) == pytest.approx(np.ones(20), abs=0.08)
    assert weights.var(axis=0) == pytest.approx(np.full(20, 0.95), abs=0.1)


def test_units_of_one_group_are_drawn_together():
    groups = np.array(["b", "a", "b", "c", "a", "b"])

    weights = np.concatenate(list(bootstrap.resample_weights(groups, 100, seed=2)))

    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 0] == weights[:, 5]).all()
    assert (weights[:, 1] == weights[:, 4]).all()
    assert (weights[:, 0] + weights[:, 1] + weights[:, 3] == 3).all()


def test_the_resamples_do_not_depend_on_how_they_are_cut_into_chunks(monkeypatch):
    whole = np.concatenate(list(bootstrap.resample_weights(np.arange(31), 64, seed=5)))

    monkeypatch.setattr(bootstrap, "_CHUNK_CELLS", 100)
    chunks = list(bootstrap.resample_weights(np.arange(31), 64, seed=5))

    assert len(chunks) > 10
    assert np.array_equal(whole, np.concatenate(chunks))


def test_the_resamples_of_a_seed_never_change():
    first = next(bootstrap.resample_weights(np.arange(8), 3, seed=42))

    assert first.astype(int).tolist() == [[2, 0, 0, 2, 0, 2, 2, 0], [1, 1, 0, 0, 1, 2, 2, 1], [0, 2, 1, 1, 2, 0, 1, 1]]


def test_groups_widen_the_spread_of_repeated_samples():
    values = np.repeat(np.random.default_rng(1).random(100), 10)
    alone = bootstrap.replicates(Mean(), table_of(values), np.arange(1000), n=500, seed=0)["mean"]

    grouped = bootstrap.replicates(Mean(), table_of(values), np.repeat(np.arange(100), 10), n=500, seed=0)["mean"]

    assert grouped.std() == pytest.approx(np.sqrt(10) * alone.std(), rel=0.1)


def test_one_group_cannot_be_resampled():
    found = bootstrap.replicates(Mean(), table_of([1.0, 2.0]), np.array(["a", "a"]), n=10, seed=0)

    assert np.isnan(found["mean"]).all()


def test_undefined_replicates_are_nan():
    mark = np.zeros(40)
    mark[:3] = 1

    found = bootstrap.replicates(Mean(), table_of(np.arange(40.0), mark), np.arange(40), n=1000, seed=4)["marked"]

    share = np.isnan(found).mean()
    assert 0.02 < share < 0.09


def test_the_replicates_of_one_seed_come_back_as_they_are():
    values = np.arange(5.0)[None]

    assert np.array_equal(bootstrap.hierarchical(values, seed=0), values[0])


def test_a_seed_group_varies_by_units_and_by_seeds():
    units = 0.01 * np.random.default_rng(0).standard_normal(4000)
    values = np.array([0.90, 0.92, 0.94])[:, None] + units[None]

    found = bootstrap.hierarchical(values, seed=1)

    between = np.var([0.90, 0.92, 0.94], ddof=1) / 3
    assert found.mean() == pytest.approx(0.92, abs=1e-3)
    assert found.var() == pytest.approx(between + 0.01**2, rel=0.1)
    assert np.array_equal(found, bootstrap.hierarchical(values, seed=1))


def made_up(values, n=1000, noise=0.01, shared=0.0, seed=0):
    """Return point values and replicates around them."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal(n)
    own = rng.standard_normal((len(values), n))
    spread = noise * (np.sqrt(shared) * common + np.sqrt(1 - shared) * own)
    return np.asarray(values, float), np.asarray(values, float)[:, None] + spread


def test_rows_far_apart_have_one_rank_each():
    ranks = bootstrap.rank_intervals(*made_up([0.5, 0.9, 0.7]))

    assert ranks.low.tolist() == ranks.high.tolist() == [3, 1, 2]
    assert ranks.band.tolist() == [2, 0, 1]
    assert ranks.method == "step-down max-|t|"


def test_lower_can_be_better():
    ranks = bootstrap.rank_intervals(*made_up([0.5, 0.9, 0.7]), higher_is_better=False)

    assert ranks.low.tolist() == [1, 3, 2]


@pytest.mark.parametrize("groups", [2, 5, 30, 1000])
def test_few_groups_separate_less(groups):
    t = np.array([0.0, 0.5, 2.0, 4.0, np.inf])

    found = bootstrap._normal_equivalent(t * np.sqrt(groups / (groups - 1)), groups)

    exact = norm.isf(student.sf(t, groups - 1))
    assert found[:-1] == pytest.approx(exact[:-1], abs=0.1 if groups == 2 else 0.02)
    assert found[-1] == np.inf


def test_equal_rows_of_few_groups_are_seldom_separated():
    rng, groups, wrong, trials = np.random.default_rng(0), 30, 0, 300
    weights = np.concatenate(list(bootstrap.resample_weights(np.arange(groups), 1000, seed=1))) / groups

    for _ in range(trials):
        scores = rng.normal(size=(1, groups)) + rng.normal(size=(5, groups))
        ranks = bootstrap.rank_intervals(scores.mean(axis=1), (weights @ scores.T).T, groups=groups)
        wrong += ranks.low.max() > 1

    assert wrong / trials <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / trials)


def test_identical_rows_are_tied():
    values, samples = made_up([0.9, 0.5])
    ranks = bootstrap.rank_intervals(values[[0, 0, 1]], samples[[0, 0, 1]])

    assert ranks.low.tolist() == [1, 1, 3]
    assert ranks.high.tolist() == [2, 2, 3]
    assert ranks.band.tolist() == [0, 0, 1]


def test_shared_resamples_part_rows_that_their_own_intervals_would_not():
    values, samples = made_up([0.900, 0.905], noise=0.01, shared=0.99)

    ranks = bootstrap.rank_intervals(values, samples)

    assert np.quantile(samples[0], 0.975) > np.quantile(samples[1], 0.025)
    assert ranks.low.tolist() == [2, 1]


def test_ties_need_not_be_transitive_and_bands_still_are():
    values, samples = made_up([0.920, 0.900, 0.880], noise=0.0072)

    ranks = bootstrap.rank_intervals(values, samples)

    assert (ranks.low.tolist(), ranks.high.tolist()) == ([1, 1, 2], [2, 3, 3])
    assert ranks.band.tolist() == [0, 0, 1]


def test_no_row_has_a_better_rank_than_a_row_that_surely_beats_it():
    values, samples = made_up(np.linspace(0.8, 0.95, 40), noise=0.01, shared=0.5)

    ranks = bootstrap.rank_intervals(values, samples)

    order = np.argsort(-values)
    assert (np.diff(ranks.band[order]) >= 0).all()
    assert (ranks.low <= ranks.high).all()
    assert ranks.low.min() == 1
    assert ranks.high.max() == 40


def test_a_row_with_many_undefined_replicates_is_parted_from_none():
    values, samples = made_up([0.9, 0.5, 0.7])
    samples[1, :200] = np.nan

    ranks = bootstrap.rank_intervals(values, samples)

    assert (ranks.low[1], ranks.high[1]) == (1, 3)
    assert (ranks.low[2], ranks.high[0]) == (2, 2)


def test_a_few_undefined_replicates_cost_nothing():
    values, samples = made_up([0.9, 0.5])
    samples[1, :20] = np.nan

    assert bootstrap.rank_intervals(values, samples).band.tolist() == [0, 1]


def test_rows_that_no_resample_changes_are_parted_by_their_values():
    values = np.array([1.0, 0.0])

    ranks = bootstrap.rank_intervals(values, np.repeat(values[:, None], 100, axis=1))

    assert ranks.low.tolist() == [1, 2]


def test_one_row_is_first():
    ranks = bootstrap.rank_intervals(*made_up([0.3]))

    assert (ranks.low.tolist(), ranks.high.tolist(), ranks.band.tolist()) == ([1], [1], [0])


def test_many_rows_are_tested_by_a_bound(monkeypatch):
    monkeypatch.setattr(bootstrap, "MOST_STEPDOWN_ROWS", 10)

    ranks = bootstrap.rank_intervals(*made_up(np.linspace(0.1, 0.9, 12)))

    assert ranks.method == "Bonferroni, normal"
    assert ranks.low.tolist() == list(range(12, 0, -1))


def test_step_down_parts_more_rows_than_a_single_step():
    values, samples = made_up([0.95, 0.5, 0.4, 0.3, 0.2, 0.1, 0.926, 0.9], noise=0.0059, seed=11)
    errors = bootstrap._difference_errors(samples - values[:, None])
    np.fill_diagonal(errors, 1)
    first = bootstrap._quantile_of_maxima(samples.astype(np.float32), (1 / errors).astype(np.float32), 0.95)
    t = np.abs(values[:, None] - values) / errors

    last = bootstrap._separated(values, samples - values[:, None], 0.95)

    assert last.sum() >= (t > first).sum()


@pytest.mark.parametrize("seed", range(5))
def test_rejecting_by_the_bound_first_ends_at_the_same_set(seed, monkeypatch):
    values, samples = made_up(np.linspace(0.1, 0.9, 30) ** 2, noise=0.01, shared=0.7, seed=seed)
    quick = bootstrap._separated(values, samples - values[:, None], 0.95)

    monkeypatch.setattr(bootstrap, "_bound_of_maxima", lambda *_: np.inf)

    assert np.array_equal(quick, bootstrap._separated(values, samples - values[:, None], 0.95))
    assert quick.any()


def test_false_separations_are_rare_over_the_whole_family():
    rng = np.random.default_rng(5)

    wrong = 0
    for _ in range(200):
        correct = rng.random((12, 400)) < 0.7  # 12 equal rows, each scored on the same 400 samples
        weights = np.concatenate(list(bootstrap.resample_weights(np.arange(400), 400, seed=0)))
        samples = correct @ weights.T / 400
        wrong += bootstrap.rank_intervals(correct.mean(axis=1), samples).band.any()

    assert wrong <= 20  # 5 % of 200 is 10; 20 would be three standard errors above
