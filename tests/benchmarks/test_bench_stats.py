"""Bootstrap speed. Target: 10,000 resamples of 10,000 samples, top-1, under 1 s."""

from __future__ import annotations

import time

import numpy as np
import pytest

from mlcvbench.contract.scoring import MetricSpec, Scorer, Table
from mlcvbench.stats import bootstrap
from mlcvbench.stats.ranks import rank_intervals

SAMPLES = 10_000


class TopOne(Scorer):
    """Top-1 from a column of 0 and 1."""

    protocol_id = "top1@1"
    metrics = (MetricSpec("top1", "share of samples whose best score is the label's"),)

    def rows(self, predictions, targets, units):
        return Table({"unit": units, **predictions})

    def summarise(self, table, weights=None):
        return {"top1": float(np.average(table["correct"], weights=weights))}

    def summarise_many(self, table, weights):
        return {"top1": weights @ table["correct"] / weights.sum(axis=1)}


def correct():
    return (np.random.default_rng(0).random(SAMPLES) < 0.9).astype(np.float64)


def gathered(values, n):
    """Do the same with numpy's own parts: draw indices, gather, average."""
    rng = np.random.default_rng(0)
    return np.array([values[rng.integers(0, len(values), len(values))].mean() for _ in range(n)])


def test_bootstrap_of_top1(benchmark):
    values = correct()
    table = Table({"unit": np.arange(SAMPLES), "correct": values})
    groups = np.arange(SAMPLES)

    found = benchmark.pedantic(bootstrap.replicates, (TopOne(), table, groups, 10_000, 1), rounds=5, warmup_rounds=1)

    start = time.process_time()
    bootstrap.replicates(TopOne(), table, groups, 10_000, 1)
    ours = time.process_time() - start
    plain = gathered(values, 1_000)
    theirs = 10 * (time.process_time() - start - ours)
    benchmark.extra_info |= {"cpu_seconds": ours, "cpu_seconds_of_numpy_gather": theirs, "ratio": ours / theirs}
    assert len(found["top1"]) == 10_000
    assert found["top1"].std() == pytest.approx(plain.std(), rel=0.1)


@pytest.mark.parametrize("rows", [50, 300])
def test_rank_intervals(benchmark, rows):
    rng = np.random.default_rng(0)
    values = rng.random(rows)
    samples = values[:, None] + 0.01 * rng.standard_normal((rows, 1_000))

    ranks = benchmark.pedantic(rank_intervals, (values, samples), rounds=3, warmup_rounds=1)

    assert ranks.low.min() == 1
