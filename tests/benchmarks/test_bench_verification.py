"""ROC numbers of ten million pairs, beside one np.sort and scikit-learn's roc_curve in the same run."""

from __future__ import annotations

import time
import tracemalloc
from statistics import median

import numpy as np
import pytest

from mlcvbench_verification.pairs import all_pairs
from mlcvbench_verification.roc import roc_numbers
from mlcvbench_verification.similarity import pair_similarity

PAIRS = 10_000_000


def timed(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


@pytest.mark.slow
def test_ten_million_pairs_beside_sort_and_scikit_learn(benchmark):
    from sklearn.metrics import roc_curve

    rng = np.random.default_rng(0)
    same = rng.random(PAIRS) < 0.01
    similarity = rng.standard_normal(PAIRS, dtype=np.float32) * np.float32(0.09)
    similarity[same] += np.float32(0.42)

    numbers = benchmark.pedantic(roc_numbers, (similarity, same), rounds=3, warmup_rounds=1)

    ours, sorts, peers = [], [], []
    for _ in range(3):
        sorts.append(timed(lambda: np.sort(similarity)))
        ours.append(timed(lambda: roc_numbers(similarity, same)))
        peers.append(timed(lambda: roc_curve(same, similarity)))
    tracemalloc.start()
    roc_numbers(similarity, same)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    benchmark.extra_info["of_one_sort"] = round(median(ours) / median(sorts), 2)
    benchmark.extra_info["times_scikit_learn"] = round(median(peers) / median(ours), 1)
    benchmark.extra_info["peak_of_input"] = round(peak / (similarity.nbytes + same.nbytes), 2)

    assert numbers["auc"] > 0.99
    assert peak < 2 * (similarity.nbytes + same.nbytes)


@pytest.mark.slow
def test_all_pairs_of_3000_embeddings_beside_one_matrix_product(benchmark):
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((300, 512)).repeat(10, axis=0)
    embedding = (centres + 1.6 * rng.standard_normal((3_000, 512))).astype(np.float32)

    def ours():
        pairs = all_pairs(3_000)
        return pair_similarity(embedding, pairs.first, pairs.second, "cosine")

    def script():
        unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
        return (unit @ unit.T)[np.triu_indices(3_000, 1)]

    values = benchmark.pedantic(ours, rounds=3, warmup_rounds=1)
    benchmark.extra_info["times_the_script"] = round(median(timed(ours) / timed(script) for _ in range(5)), 2)
    benchmark.extra_info["seconds"] = round(benchmark.stats.stats.median, 2)  # goal: 0.3 on two quiet cores

    assert values == pytest.approx(script(), abs=1e-5)
