"""Timing itself: what the clocks cost, what counting costs, and whether the published interval keeps its promise."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.fake_time import images

from mlcvbench.contract import Batch, FitContext, Model, Predictions, Problem
from mlcvbench.loading.data import fit_data, load_data
from mlcvbench.loading.models import build_model
from mlcvbench.loading.resolved import resolve
from mlcvbench.measure.timing.fresh_processes import time_fresh_process
from mlcvbench.measure.timing.latency import rotation
from mlcvbench.measure.timing.one_process import Profile, time_process
from mlcvbench.measure.timing.summary import prediction_interval
from mlcvbench.plan.planning import plan

REPEATS = int(os.environ.get("MLCVBENCH_COVERAGE_REPEATS", "20"))
SCALED_DOWN = Profile(64, 1.0, cap=20.0, processes=5)


class Idle(Model):
    """Does nothing, so that what is reported of it is the clocks' own cost."""

    def __init__(self) -> None:
        super().__init__(Problem("classification", ("a", "b"), {}))

    def predict(self, batch: Batch) -> Predictions:
        return {}

    def forward(self, inputs: Any) -> Any:
        return inputs

    def postprocess(self, outputs: Any, batch: Batch) -> Predictions:
        return {}


def test_the_clocks_cost_little_of_a_call_of_twenty_microseconds(benchmark: Any) -> None:
    model, batches = Idle(), rotation(images(64))
    predict, batch = model.predict, batches[0]

    def bare(calls: int = 20_000) -> float:
        start = time.perf_counter_ns()
        for _ in range(calls):
            predict(batch)
        return (time.perf_counter_ns() - start) / calls

    def timed() -> float:
        return float(np.median(time_process(model, batches, Profile(5000, 0.02)).samples["end_to_end"]))

    pairs = [(bare(), timed()) for _ in range(7)]
    benchmark.pedantic(bare, rounds=3)

    cost = statistics.median(reported - plain for plain, reported in pairs)
    benchmark.extra_info["clock_cost_ns"] = cost
    benchmark.extra_info["share_of_20_microseconds"] = cost / 20_000
    assert len(pairs) == 7


@pytest.mark.slow
def test_counting_costs_few_forwards(benchmark: Any) -> None:
    import torch
    from torchvision import models

    from mlcvbench.measure.operations import count_module

    net, x = models.resnet50(weights=None).eval(), torch.zeros(1, 3, 224, 224)

    def forward() -> float:
        start = time.perf_counter()
        with torch.inference_mode():
            net(x)
        return time.perf_counter() - start

    def counted() -> float:
        start = time.perf_counter()
        count_module(net, x)
        return time.perf_counter() - start

    forward(), counted()
    ratios = [counted() / forward() for _ in range(5)]
    benchmark.pedantic(counted, rounds=2)

    benchmark.extra_info["counted_over_forward"] = statistics.median(ratios)
    assert count_module(net, x).macs == 4_089_184_256


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_the_prediction_interval_covers_a_further_process_as_often_as_it_says(benchmark: Any, tmp_path: Path) -> None:
    config = plan(["task=classification", "model=knn", "limit=200"]).configs[0]
    data = load_data(resolve(config))
    model = build_model(resolve(config), data.problem)
    wanted = fit_data(data, resolve(config).spec)
    model.fit(wanted.train, wanted.val, FitContext(seed=0, device=resolve(config).device))
    model.save(tmp_path)

    def median() -> float:
        return float(np.median(time_fresh_process(config, tmp_path, SCALED_DOWN).samples["end_to_end"])) * 1e-9

    def repeat() -> tuple[bool, float]:
        low, high = prediction_interval([median() for _ in range(SCALED_DOWN.processes)])
        further = median()
        return low <= further <= high, (high - low) / further

    outcomes = benchmark.pedantic(lambda: [repeat() for _ in range(REPEATS)], rounds=1)

    covered = sum(inside for inside, _ in outcomes)
    benchmark.extra_info["covered"] = f"{covered} of {REPEATS}"
    benchmark.extra_info["relative_width_median"] = statistics.median(width for _, width in outcomes)
    assert covered >= 0.85 * REPEATS
