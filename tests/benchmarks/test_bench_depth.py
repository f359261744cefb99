"""Depth and stereo metrics of KITTI-sized sparse maps, beside the usual numpy code in the same run."""

from __future__ import annotations

import time
from statistics import median

import numpy as np
import pytest

from mlcvbench_depth.measuring import measure_depth, measure_disparity

IMAGES, SHAPE, DENSITY = 24, (375, 1242), 0.16
FULL = (slice(None), slice(None))


def sparse_maps():
    """Return truth with 16 % known pixels and dense estimates around it, metres."""
    rng = np.random.default_rng(0)
    truths, estimates = [], []
    for _ in range(IMAGES):
        truth = rng.uniform(2, 80, SHAPE).astype(np.float32)
        estimates.append((truth * np.exp(rng.normal(0, 0.12, SHAPE)).astype(np.float32)).clip(1e-3, 80))
        truth[rng.random(SHAPE) > DENSITY] = 0
        truths.append(truth)
    return truths, estimates


def plain_depth(g, p):
    """compute_errors of monodepth2, with silog and log10."""
    m = g > 0
    g, p = g[m], p[m]
    th = np.maximum(g / p, p / g)
    deltas = [(th < 1.25**k).mean() for k in (1, 2, 3)]
    rmse = np.sqrt(((g - p) ** 2).mean())
    rmse_log = np.sqrt(((np.log(g) - np.log(p)) ** 2).mean())
    e = np.log(p) - np.log(g)
    silog = np.sqrt(np.mean(e**2) - np.mean(e) ** 2)
    log10 = np.abs(np.log10(p) - np.log10(g)).mean()
    return [np.mean(np.abs(g - p) / g), np.mean((g - p) ** 2 / g), rmse, rmse_log, silog, log10, *deltas]


def plain_stereo(g, p):
    m = g > 0
    e = np.abs(p[m] - g[m])
    return [e.mean(), *[(e > t).mean() for t in (0.5, 1, 2, 3)], ((e > 3) & (e > 0.05 * g[m])).mean()]


def ratio(ours, plain, rounds=7):
    """Return the median over rounds of plain seconds over our seconds, taken one after the other."""
    ratios = []
    for _ in range(rounds):
        start = time.perf_counter()
        ours()
        middle = time.perf_counter()
        plain()
        ratios.append((time.perf_counter() - middle) / (middle - start))
    return round(median(ratios), 2)


@pytest.mark.slow
def test_depth_errors_beside_plain_numpy(benchmark):
    truths, estimates = sparse_maps()

    def ours():
        return [measure_depth(g, p, window=FULL, cap=100.0) for g, p in zip(truths, estimates, strict=True)]

    def plain():
        return [plain_depth(g, p) for g, p in zip(truths, estimates, strict=True)]

    errors = benchmark.pedantic(ours, rounds=3, warmup_rounds=1)
    benchmark.extra_info["times_plain_numpy"] = ratio(ours, plain)
    if benchmark.stats is not None:  # None when the suite runs with --benchmark-disable
        benchmark.extra_info["mpx_per_second"] = round(IMAGES * SHAPE[0] * SHAPE[1] / benchmark.stats.stats.min / 1e6)

    assert np.array(errors)[:, 1:] == pytest.approx(np.array(plain()), rel=1e-4)


@pytest.mark.slow
def test_stereo_counts_beside_plain_numpy(benchmark):
    truths, estimates = sparse_maps()

    def ours():
        return [measure_disparity(g, p) for g, p in zip(truths, estimates, strict=True)]

    def plain():
        return [plain_stereo(g, p) for g, p in zip(truths, estimates, strict=True)]

    counts = benchmark.pedantic(ours, rounds=3, warmup_rounds=1)
    benchmark.extra_info["times_plain_numpy"] = ratio(ours, plain)

    epe = [one.error / one.estimated for one in counts]
    assert epe == pytest.approx([values[0] for values in plain()], rel=1e-5)
