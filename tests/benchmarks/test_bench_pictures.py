"""What pictures cost: those of one run beside bare matplotlib figures of the same kinds, and light runs in a sweep.

Goals: the four pictures of a classification run in a sixth of the time of four bare figures; 1.2 s a light run,
pictures included.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from support.classification import problem_of
from support.cpu_time import cpu_seconds

from mlcvbench.contract import ArraySplit, Outcome
from mlcvbench_classification.task import ClassificationTask

CLASSES, SAMPLES, ROUNDS = 10, 800, 5
PROTOCOL = "top1/single-crop@1"
PICTURES = ["confusion.png", "classes.png", "mistakes.png", "reliability.png"]
SEEDS = 5


def outcome() -> Outcome:
    """Return scores of ten classes of digits' size, some 300 of the 800 wrong."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, SAMPLES)
    scores = rng.normal(size=(SAMPLES, CLASSES)).astype(np.float32)
    scores[np.arange(SAMPLES), labels] += 2
    images = rng.integers(0, 256, (SAMPLES, 8, 8), dtype=np.uint8)
    split = ArraySplit("test", {"image": images}, {"label": labels})
    problem = problem_of([str(index) for index in range(CLASSES)])
    table = ClassificationTask().scorer(PROTOCOL, problem).rows({"scores": scores}, split.targets(), np.arange(SAMPLES))
    return Outcome({"scores": scores}, split.targets(), split, problem, PROTOCOL, table)


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def bare_figures(images: np.ndarray) -> None:
    """Draw a matrix, bars, 24 images and two charts as anyone would with matplotlib, without any text of their own."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    def figure(width: float, height: float) -> Any:
        made = Figure(figsize=(width, height), dpi=110, layout="constrained")
        FigureCanvasAgg(made)
        return made

    matrix, bars, tiles, charts = figure(7.2, 6.4), figure(6.4, 3.4), figure(11, 6), figure(5.2, 5.6)
    axes = matrix.subplots()
    matrix.colorbar(axes.imshow(np.eye(CLASSES)), ax=axes)
    bars.subplots().barh(range(CLASSES), np.linspace(0, 1, CLASSES))
    for axes, image in zip(tiles.subplots(3, 8).ravel(), images, strict=False):
        axes.imshow(image, cmap="gray")
        axes.set_axis_off()
    above, below = charts.subplots(2, 1, sharex=True)
    above.plot([0, 1], [0, 1])
    below.bar(range(15), range(15))
    for made in (matrix, bars, tiles, charts):
        made.savefig(io.BytesIO(), format="png")


@pytest.mark.slow
def test_the_pictures_of_a_run_beside_bare_figures(benchmark: Any, tmp_path: Path) -> None:
    task, drawn = ClassificationTask(), outcome()
    images = np.asarray(drawn.split.read(slice(0, 24))[0].inputs["image"])

    def ours() -> list[str]:
        return [plot.file for plot in task.plot(tmp_path, drawn)]

    bare_figures(images)  # whose imports are not counted
    files = benchmark.pedantic(ours, rounds=ROUNDS, warmup_rounds=1)
    ratios = [seconds(lambda: bare_figures(images)) / seconds(ours) for _ in range(ROUNDS)]
    benchmark.extra_info["times bare matplotlib"] = round(median(ratios), 1)
    benchmark.extra_info["goal, at least"] = 6

    assert files == PICTURES


@pytest.mark.slow
def test_light_runs_in_a_sweep(benchmark: Any, tmp_path: Path) -> None:
    program = [sys.executable, "-c", "import sys; from mlcvbench.cli import main; sys.exit(main())"]
    seeds = ",".join(map(str, range(SEEDS)))
    words = ["run", "task=digits", "model=majority,knn", f"seed={seeds}", "time=off", f"out={tmp_path / 'runs'}"]

    used = benchmark.pedantic(cpu_seconds, args=([*program, *words], os.environ), rounds=1)
    benchmark.extra_info["CPU seconds a run"] = round(used / (2 * SEEDS), 2)
    benchmark.extra_info["goal, at most"] = 1.2

    folders = sorted((tmp_path / "runs").glob("digits-*"))
    assert len(folders) == 2 * SEEDS
    assert all(sorted(path.name for path in (folder / "plots").iterdir()) == sorted(PICTURES) for folder in folders)
