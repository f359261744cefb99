"""Bootstrap replicates, and those of means over training seeds."""

from __future__ import annotations

import numpy as np
import pytest

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


class CountedMean(Mean):
    """The same by counts; remembers what it was given."""

    def __init__(self):
        self.given = []

    def by_counts(self, table, group_of=None):
        def summarise(weights):
            self.given.append((weights.dtype.name, weights.shape))
            units = weights if group_of is None else weights[:, group_of]
            return self.summarise_many(table, units.astype(np.float64))

        return summarise


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


@pytest.mark.parametrize("groups", [np.arange(41), np.arange(41) % 7])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_scorer_by_counts_gets_the_same_resamples_in_any_number_of_threads(monkeypatch, groups, threads):
    monkeypatch.setattr(bootstrap, "_CHUNK_CELLS", 100)
    monkeypatch.setattr(bootstrap, "_WORTH_THREADS", 1)
    scorer, table = CountedMean(), table_of(np.random.default_rng(0).random(41))
    plain = bootstrap.replicates(Mean(), table, groups, n=70, seed=5)

    found = bootstrap.replicates(scorer, table, groups, n=70, seed=5, threads=threads)

    assert all(np.array_equal(found[name], plain[name], equal_nan=True) for name in plain)
    assert {(dtype, shape[1]) for dtype, shape in scorer.given} == {("uint8", len(np.unique(groups)))}
    assert sum(shape[0] for _, shape in scorer.given) == 70
    assert len(scorer.given) > 4


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


def test_many_groups_are_drawn_in_bundles_of_nearly_equal_size(monkeypatch):
    monkeypatch.setattr(bootstrap, "MOST_GROUPS", 40)
    monkeypatch.setattr(bootstrap, "BUNDLES", 12)

    weights = np.concatenate(list(bootstrap.resample_weights(np.arange(41), 200, seed=1)))

    _, bundle, sizes = np.unique(weights, axis=1, return_inverse=True, return_counts=True)
    assert sorted(sizes.tolist()) == [3] * 7 + [4] * 5
    assert (np.diff(bundle.ravel()) != 0).any()  # made at random
    assert not np.array_equal(bundle, np.sort(bundle))
    assert [bootstrap.bundles(40), bootstrap.bundles(41)] == [None, 12]


def test_100000_groups_are_drawn_one_by_one_and_more_in_16384_bundles():
    assert [bootstrap.bundles(100_000), bootstrap.bundles(100_001)] == [None, 16_384]


def test_the_bundles_of_a_seed_never_change(monkeypatch):
    monkeypatch.setattr(bootstrap, "MOST_GROUPS", 5)
    monkeypatch.setattr(bootstrap, "BUNDLES", 4)

    first = next(bootstrap.resample_weights(np.arange(8), 3, seed=1))

    assert first.astype(int).tolist() == [[1, 1, 2, 2, 0, 0, 1, 1], [0, 0, 2, 2, 2, 2, 0, 0], [2, 2, 1, 1, 1, 1, 0, 0]]


def test_units_of_one_group_stay_together_in_a_bundle(monkeypatch):
    monkeypatch.setattr(bootstrap, "MOST_GROUPS", 9)
    monkeypatch.setattr(bootstrap, "BUNDLES", 5)
    groups = np.arange(30) % 10

    weights = np.concatenate(list(bootstrap.resample_weights(groups, 100, seed=2)))

    assert (weights[:, :10] == weights[:, 10:20]).all()
    assert (weights[:, :10] == weights[:, 20:]).all()


@pytest.mark.parametrize("each", [1, 3])
def test_bundles_spread_a_mean_as_far_as_its_groups_do(monkeypatch, each):
    monkeypatch.setattr(bootstrap, "MOST_GROUPS", 6_000)
    monkeypatch.setattr(bootstrap, "BUNDLES", 2_048)
    values = np.random.default_rng(7).exponential(size=8_000).repeat(each)

    found = bootstrap.replicates(Mean(), table_of(values), np.arange(8_000).repeat(each), n=1000, seed=3)["mean"]

    assert found.std() == pytest.approx(values.std() / np.sqrt(8_000), rel=0.07)  # three times what draws leave open
    assert found.mean() == pytest.approx(values.mean(), abs=0.1 * found.std())


def test_scores_on_the_same_bundles_are_compared_pair_by_pair(monkeypatch):
    monkeypatch.setattr(bootstrap, "MOST_GROUPS", 6_000)
    monkeypatch.setattr(bootstrap, "BUNDLES", 2_048)
    rng = np.random.default_rng(8)
    first = rng.normal(size=8_000)
    second = first + rng.normal(scale=0.1, size=8_000)

    a, b = (bootstrap.replicates(Mean(), table_of(x), np.arange(8_000), n=400, seed=3)["mean"] for x in (first, second))

    assert (b - a).std() == pytest.approx(0.1 / np.sqrt(8_000), rel=0.12)
