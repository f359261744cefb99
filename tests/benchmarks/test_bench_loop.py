"""The evaluation loop, scoring and timing included, against a bare torch loop over the same network and images.

Goal: at least 0.97 of the bare loop's images a second (10,000 x 28 x 28, batch 64). Peers: ignite 0.93, three
torchmetrics 0.70, Lightning 0.54-0.61, mmengine 0.52. The ratio is the median over interleaved pairs of one run.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import pytest
import torch

from mlcvbench.contract import ArraySplit, Device, InputSpec, Problem
from mlcvbench.running import predicting, scoring
from mlcvbench_classification.task import ClassificationTask
from mlcvbench_cnn.small import SmallCNN

COUNT, BATCH, PAIRS = 10_000, 64, 9
PROTOCOL = "top1/single-crop@1"


@pytest.fixture(scope="module")
def subject() -> tuple[SmallCNN, ArraySplit, Problem]:
    rng = np.random.default_rng(0)
    problem = Problem("classification", tuple("0123456789"), {"image": InputSpec((28, 28))})
    images = rng.integers(0, 256, (COUNT, 28, 28), dtype=np.uint8)
    split = ArraySplit("test", {"image": images}, {"label": rng.integers(0, 10, COUNT)})
    model = SmallCNN(problem, width=16, stages=2, dropout=0.0)
    model.to(Device(threads=torch.get_num_threads()))
    return model, split, problem


def bare_loop(model: SmallCNN, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the accuracy by the loop that everybody writes, over images that are floats already."""
    correct = 0
    with torch.inference_mode():
        for start in range(0, COUNT, BATCH):
            block = slice(start, start + BATCH)
            correct += int((model.module(images[block]).argmax(1) == labels[block]).sum())
    return correct / COUNT


def our_loop(model: SmallCNN, split: ArraySplit, problem: Problem) -> dict[str, float | None]:
    """Return every metric as a run computes them: checked, quantised, merged, scored."""
    task = ClassificationTask()
    scorer = task.scorer(PROTOCOL, problem)
    predictions = predicting.predict(model, split, task, problem, BATCH)
    return scoring.score(scorer, predictions, split).values


def test_evaluation_loop_against_a_bare_torch_loop(benchmark: Any, subject: Any) -> None:
    model, split, problem = subject
    whole = next(iter(split.inputs(COUNT)))
    model.module.eval()
    images = model.preprocess(whole)
    labels = torch.from_numpy(np.asarray(split.targets()["label"]))
    wanted = bare_loop(model, images, labels)
    ratios = []
    for _ in range(PAIRS):
        start = time.perf_counter()
        bare_loop(model, images, labels)
        middle = time.perf_counter()
        values = our_loop(model, split, problem)
        ratios.append((middle - start) / (time.perf_counter() - middle))

    benchmark.pedantic(our_loop, args=(model, split, problem), rounds=3)
    benchmark.extra_info["share of the bare loop's images/s"] = round(statistics.median(ratios), 4)
    benchmark.extra_info["goal"] = 0.97

    assert values["top1"] == pytest.approx(wanted)
