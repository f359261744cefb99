"""Intervals of 500,000 samples of 256 classes, and of all pairs of 3,000 embeddings, beside their scores in one run.

Goals: as long as the scores themselves, ends within the Monte Carlo error of drawing samples one by one.
"""

from __future__ import annotations

import os
import time
from statistics import median

import numpy as np
import pytest
from support.classification import problem_of

from mlcvbench.stats import bootstrap
from mlcvbench.stats.intervals import interval
from mlcvbench_classification.scoring import ClassificationScorer
from mlcvbench_verification.pairs import all_pairs
from mlcvbench_verification.scoring import scorer_of

SAMPLES, CLASSES = 500_000, 256


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


@pytest.mark.slow
def test_1000_resamples_of_500000_samples_beside_their_scores(benchmark):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, SAMPLES)
    logits = rng.standard_normal((SAMPLES, CLASSES), dtype=np.float32)
    logits[np.arange(SAMPLES), labels] += rng.normal(3.2, 1.5, SAMPLES).astype(np.float32)
    scorer, units = ClassificationScorer(problem_of(CLASSES)), np.arange(SAMPLES)
    table = scorer.rows({"scores": logits}, {"label": labels}, units)

    def script():
        top1 = (logits.argmax(axis=1) == labels).mean()
        shifted = logits - logits.max(axis=1, keepdims=True)
        nll = (np.log(np.exp(shifted).sum(axis=1)) - shifted[units, labels]).mean()
        return top1, nll

    def intervals():
        return bootstrap.replicates(scorer, table, units, seed=1, threads=os.cpu_count() or 1)

    found = benchmark.pedantic(intervals, rounds=3, warmup_rounds=1)
    ours = benchmark.stats.stats.median
    scripts = [seconds(script) for _ in range(3)]
    scores = [seconds(lambda: scorer.summarise(scorer.rows({"scores": logits}, {"label": labels}, units)))]
    benchmark.extra_info["times_the_script"] = round(ours / median(scripts), 2)
    benchmark.extra_info["times_the_scores"] = round(ours / median(scores), 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "MOST_GROUPS", SAMPLES)
        start = time.perf_counter()
        alone = intervals()
        benchmark.extra_info["of_samples_one_by_one"] = round(ours / (time.perf_counter() - start), 2)
    values = scorer.summarise(table)
    ends = [interval(values[name], draws[name], SAMPLES) for draws in (found, alone) for name in found]
    widths = np.array([end.high - end.low for end in ends]).reshape(2, -1)
    benchmark.extra_info["width_of_samples_one_by_one"] = np.round(widths[0] / widths[1], 2).tolist()

    top1, nll = script()
    assert found["top1"].mean() == pytest.approx(top1, abs=1e-4)
    assert found["nll"].mean() == pytest.approx(nll, abs=1e-3)
    assert found["top1"].std() == pytest.approx(np.sqrt(top1 * (1 - top1) / SAMPLES), rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("noise", [1.6, 6.0])
def test_200_resamples_of_all_pairs_of_3000_embeddings_beside_their_scores(benchmark, noise):
    """With much noise the similarities of both kinds of pairs overlap, so that most impostor pairs matter."""
    rng = np.random.default_rng(0)
    people = np.arange(300).repeat(10)
    embedding = rng.standard_normal((300, 512))[people] + noise * rng.standard_normal((3_000, 512))
    predictions = {"embedding": embedding.astype(np.float32), "distance": np.full(3_000, "cosine")}
    targets = {"pairs": all_pairs(3_000), "identity": people}
    scorer = scorer_of("pairs/cosine@1")

    def scores():
        table = scorer.rows(predictions, targets, np.arange(3_000))
        scorer.summarise(table)
        return table

    table = scores()
    scoring = [seconds(scores) for _ in range(3)]

    found = benchmark.pedantic(bootstrap.replicates, (scorer, table, people, 200, 1), rounds=3, warmup_rounds=1)

    benchmark.extra_info["times_the_scores"] = round(benchmark.stats.stats.median / median(scoring), 2)
    assert found["auc"].mean() == pytest.approx(scorer.summarise(table)["auc"], abs=1e-2)
