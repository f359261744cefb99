"""Intervals of 500,000 samples of 256 classes, beside a plain numpy script for the scores alone in the same run."""

from __future__ import annotations

import os
import time
from statistics import median

import numpy as np
import pytest
from support.classification import problem_of

from mlcvbench.stats import bootstrap
from mlcvbench_classification.scoring import ClassificationScorer

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

    found = benchmark.pedantic(intervals, rounds=1)
    scripts = [seconds(script) for _ in range(3)]
    scores = [seconds(lambda: scorer.summarise(scorer.rows({"scores": logits}, {"label": labels}, units)))]
    benchmark.extra_info["times_the_script"] = round(seconds(intervals) / median(scripts), 1)
    benchmark.extra_info["times_the_scores"] = round(seconds(intervals) / median(scores), 1)

    top1, nll = script()
    assert found["top1"].mean() == pytest.approx(top1, abs=1e-4)
    assert found["nll"].mean() == pytest.approx(nll, abs=1e-3)
    assert found["top1"].std() == pytest.approx(np.sqrt(top1 * (1 - top1) / SAMPLES), rel=0.1)
