"""Exact 5-NN at Fashion-MNIST's shape against numpy's float32 matrix product of the same blocks.

Goal: at least 0.85 of the product's queries a second (median of 7 interleaved pairs) and under 1 GB beyond the data.
Peers on the same data: faiss IndexFlatL2 0.95, torch addmm + topk 0.73, scikit-learn brute 0.44 (exact in float64).
Threads are those of the process; set OMP_NUM_THREADS and OPENBLAS_NUM_THREADS to choose.
"""

from __future__ import annotations

import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from support.fitting import fitted, problem, scores_of, split

from mlcvbench_knn.knn import KNN

TRAIN, QUERIES, SIDE, BLOCK, PAIRS = 60_000, 1_000, 28, 500, 7

pytestmark = pytest.mark.slow


def images_like_pixels(rng: np.random.Generator, count: int, means: Any, bases: Any) -> tuple[Any, Any]:
    """Return uint8 images of ten classes, each near a 25-dimensional sheet, and their labels."""
    labels = rng.integers(0, 10, count)
    images = np.empty((count, SIDE * SIDE), np.float32)
    for label in range(10):
        mine = np.flatnonzero(labels == label)
        codes = rng.standard_normal((len(mine), 25), dtype=np.float32)
        noise = rng.standard_normal((len(mine), SIDE * SIDE), dtype=np.float32)
        images[mine] = means[label] + codes @ bases[label] * 0.35 + noise * 0.15
    pixels = (images.clip(0, 2) * 127.5).astype(np.uint8)
    return pixels.reshape(count, SIDE, SIDE), labels


class Spent(NamedTuple):
    """Seconds of one piece of work, by the wall clock and of processor time (which other people's load moves less)."""

    wall: float
    processor: float


def spent_on(work: Callable[[], None]) -> Spent:
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - wall, time.process_time() - processor)


def test_knn_against_the_matrix_product_it_rests_on(benchmark: Any) -> None:
    rng = np.random.default_rng(0)
    means = rng.random((10, SIDE * SIDE), dtype=np.float32)
    bases = rng.standard_normal((10, 25, SIDE * SIDE), dtype=np.float32) / 5
    images, labels = images_like_pixels(rng, TRAIN, means, bases)
    queries, _ = images_like_pixels(rng, QUERIES, means, bases)
    wide, wide_queries = (block.reshape(len(block), -1).astype(np.float32) for block in (images, queries))
    product = np.empty((BLOCK, TRAIN), np.float32)
    tracemalloc.start()
    model = fitted(KNN(problem(images), k=5), split(images, labels))
    scores_of(model, queries[:BLOCK])
    beyond_the_data = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    def multiply() -> None:
        for start in range(0, QUERIES, BLOCK):
            np.matmul(wide_queries[start : start + BLOCK], wide.T, out=product)

    def predict() -> None:
        for start in range(0, QUERIES, BLOCK):
            scores_of(model, queries[start : start + BLOCK])

    multiply()
    pairs = [(spent_on(multiply), spent_on(predict)) for _ in range(PAIRS)]
    benchmark.pedantic(predict, rounds=1)

    shares = [limit.wall / ours.wall for limit, ours in pairs]
    benchmark.extra_info["share_of_sgemm_median"] = statistics.median(shares)
    benchmark.extra_info["share_of_sgemm_by_processor_time"] = statistics.median(
        limit.processor / ours.processor for limit, ours in pairs
    )
    benchmark.extra_info["share_of_sgemm_goal"] = 0.85
    benchmark.extra_info["queries_per_s"] = QUERIES / statistics.median(ours.wall for _, ours in pairs)
    benchmark.extra_info["peak_bytes_beyond_the_data"] = beyond_the_data
    benchmark.extra_info["peak_bytes_goal"] = 10**9
    assert beyond_the_data > 4 * TRAIN * SIDE * SIDE
