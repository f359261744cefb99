"""Speed of the scorer and of the resampling; ratios against torchmetrics, taken in turns in one process.

Nothing here asserts a time: the ratio is stored in `extra_info` of the benchmark's report.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from support.classification import problem_of
from threadpoolctl import threadpool_limits

from mlcvbench_classification.scoring import ClassificationScorer
from mlcvbench_classification.task import ClassificationTask

SAMPLES, CLASSES, BATCH = 50_000, 1_000, 256


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Give both sides one thread."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(before)


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def imagenet_like() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, SAMPLES)
    scores = rng.standard_normal((SAMPLES, CLASSES), dtype=np.float32)
    scores[np.arange(SAMPLES), labels] += rng.normal(3.2, 1.5, SAMPLES).astype(np.float32)
    return scores, labels


@pytest.mark.slow
def test_bench_top1_top5_ece_and_macro_f1_of_50000_x_1000(benchmark):
    import torch
    from torchmetrics.classification import MulticlassAccuracy, MulticlassCalibrationError, MulticlassF1Score

    scores, labels = imagenet_like()
    scorer, units = ClassificationScorer(problem_of(CLASSES)), np.arange(SAMPLES)
    tensors = torch.from_numpy(scores), torch.from_numpy(labels)

    def ours() -> list[float]:
        values = scorer.summarise(scorer.rows({"scores": scores}, {"label": labels}, units))
        return [values[name] or 0.0 for name in ("top1", "top5", "ece", "macro_f1")]

    def theirs() -> list[float]:
        metrics = (
            MulticlassAccuracy(CLASSES, average="micro"),
            MulticlassAccuracy(CLASSES, top_k=5, average="micro"),
            MulticlassCalibrationError(CLASSES, n_bins=15),
            MulticlassF1Score(CLASSES, average="macro"),
        )
        for start in range(0, SAMPLES, BATCH):
            for metric in metrics:
                metric.update(*(tensor[start : start + BATCH] for tensor in tensors))
        return [float(metric.compute()) for metric in metrics]

    np.testing.assert_allclose(ours(), theirs(), atol=1e-6)
    ratios = [seconds(theirs) / seconds(ours) for _ in range(3)]

    benchmark.extra_info["times_torchmetrics_speed"] = float(np.median(ratios))
    benchmark.pedantic(ours, rounds=5, warmup_rounds=1)


def test_bench_1000_resamples_of_10000_samples_all_metrics(benchmark):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 10_000)
    scores = rng.standard_normal((10_000, 10), dtype=np.float32)
    scorer = ClassificationScorer(problem_of(10))
    table = scorer.rows({"scores": scores}, {"label": labels}, np.arange(10_000))
    weights = rng.multinomial(10_000, np.full(10_000, 1e-4), size=1_000).astype(np.float64)

    benchmark.pedantic(scorer.summarise_many, (table, weights), rounds=5, warmup_rounds=1)


def test_bench_check_of_one_batch(benchmark):
    task, problem, ids = ClassificationTask(), problem_of(10), np.arange(64)
    scores = np.random.default_rng(0).standard_normal((64, 10), dtype=np.float32)

    benchmark(task.check, {"scores": scores}, ids, problem)
