"""How fast label maps are counted, beside torchmetrics' confusion matrix in the same run."""

from __future__ import annotations

import time
from statistics import median

import numpy as np
import pytest

from mlcvbench.contract import Problem
from mlcvbench_segmentation.scoring import SegmentationScorer

CLASSES, IMAGES, SHAPE = 19, 20, (512, 1024)


def blocky_maps():
    """Return label maps and predictions of a street-like grain: 12 % ignored, 88 % right."""
    rng = np.random.default_rng(0)
    labels, guesses = [], []
    for _ in range(IMAGES):
        label = np.kron(rng.integers(0, CLASSES, (16, 32)), np.ones((32, 32), int)).astype(np.uint8)
        guess = label.copy()
        wrong = np.kron(rng.random((64, 128)) < 0.12, np.ones((8, 8), bool))
        guess[wrong] = rng.integers(0, CLASSES, int(wrong.sum()), dtype=np.uint8)
        label[np.kron(rng.random((32, 64)) < 0.12, np.ones((16, 16), bool))] = 255
        labels.append(label)
        guesses.append(guess)
    return labels, guesses


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


@pytest.mark.slow
def test_counting_label_maps_beside_torchmetrics(benchmark):
    import cv2
    import torch
    from torchmetrics.classification import MulticlassConfusionMatrix

    labels, guesses = blocky_maps()
    problem = Problem("segmentation", tuple(f"c{i}" for i in range(CLASSES)), {})
    scorer = SegmentationScorer("miou/ignore255/absent-skip@1", problem)
    units = np.arange(IMAGES)
    cores, threads = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    try:

        def ours():
            return scorer.summarise(scorer.rows({"label_map": guesses}, {"label_map": labels}, units))

        values = benchmark.pedantic(ours, rounds=5, warmup_rounds=1)
        matrix = MulticlassConfusionMatrix(CLASSES, ignore_index=255)

        def peer():
            matrix.reset()
            for label, guess in zip(labels[:4], guesses[:4], strict=True):
                matrix.update(torch.from_numpy(guess).long(), torch.from_numpy(label).long())

        ratios = [IMAGES / 4 * seconds(peer) / seconds(ours) for _ in range(7)]
    finally:
        cv2.setNumThreads(cores)
        torch.set_num_threads(threads)
    benchmark.extra_info["times_torchmetrics"] = round(median(ratios), 1)
    if benchmark.stats is not None:  # None when the suite runs with --benchmark-disable
        pixels = IMAGES * SHAPE[0] * SHAPE[1]
        benchmark.extra_info["mpx_per_second"] = round(pixels / benchmark.stats.stats.median / 1e6)

    assert 0.5 < values["miou"] < 1
