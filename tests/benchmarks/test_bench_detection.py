"""Speed of COCO scoring: ratios against the fastest exact engine and the reference, each in a process of its own.

Nothing here asserts a time: seconds, ratios and peaks are stored in `extra_info` of the benchmark's report. One thread
a process; imports are not counted; the twelve numbers must be equal to the last bit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from support.coco_like import Files, write_boxes
from support.detection import read_case

from mlcvbench.stats import bootstrap
from mlcvbench_detection.geometry.masks import pairwise_mask_iou
from mlcvbench_detection.geometry.rle import encode_dense

ROUNDS = 3
TAIL = """
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"seconds": time.perf_counter() - start, "peak_mb": int(peak.split()[1]) / 1024, "values": values}))
"""
OURS = """
import json, sys, time
from pathlib import Path
import hotcoco, numpy, orjson, pyarrow.compute, pyarrow.json
from mlcvbench.running.scoring import tabulate
from mlcvbench_detection.coco.annotations import load_coco
from mlcvbench_detection.task import DetectionTask
task, start = DetectionTask(), time.perf_counter()
data = load_coco({"annotations": sys.argv[1]}, 0)
split = data.splits["test"]
predictions = task.read_external(Path(sys.argv[2]), split, data.problem, {}).predictions
scorer = task.scorer("coco/bbox/maxdet100@1", data.problem)
"""
WAYS = {
    "ours": OURS
    + "values = list(scorer.summarise(tabulate(scorer, predictions, split.targets(), len(split))).values())"
    + TAIL,
    "ours_through_hotcoco": OURS + "values = list(scorer.reference(predictions, split.targets()).values())" + TAIL,
    "hotcoco": """
import contextlib, io, json, sys, time
from hotcoco import COCO, COCOeval
start = time.perf_counter()
truth = COCO(sys.argv[1])
evaluation = COCOeval(truth, truth.load_res(sys.argv[2]), "bbox")
evaluation.evaluate()
evaluation.accumulate()
with contextlib.redirect_stdout(io.StringIO()):
    evaluation.summarize()
values = [float(value) for value in evaluation.stats][:12]
"""
    + TAIL,
    "pycocotools": """
import contextlib, io, json, sys, time
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
start = time.perf_counter()
with contextlib.redirect_stdout(io.StringIO()):
    truth = COCO(sys.argv[1])
    evaluation = COCOeval(truth, truth.loadRes(sys.argv[2]), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
values = [float(value) for value in evaluation.stats]
"""
    + TAIL,
}


def run_way(name: str, files: Files) -> dict[str, Any]:
    """Score two files one way in a fresh process."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, "-c", WAYS[name], str(files.truth), str(files.results)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **threads},
    )
    return json.loads(done.stdout.splitlines()[-1])


def compare(benchmark: Any, files: Files, ways: tuple[str, ...], rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Run all ways in turns and store medians; the first way is the benchmark."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}

    def one_round() -> None:
        for name in ways:
            runs[name].append(run_way(name, files))

    benchmark.pedantic(one_round, rounds=rounds, iterations=1)
    for name, found in runs.items():
        benchmark.extra_info[f"{name}_s"] = round(median(run["seconds"] for run in found), 3)
        benchmark.extra_info[f"{name}_peak_mb"] = round(max(run["peak_mb"] for run in found))
    return runs


@pytest.mark.slow
def test_bench_boxes_of_5000_images_against_hotcoco(benchmark, tmp_path):
    files = write_boxes(tmp_path)

    runs = compare(benchmark, files, ("ours", "ours_through_hotcoco", "hotcoco"), ROUNDS)

    info = benchmark.extra_info
    info["ours_over_hotcoco"] = round(info["ours_s"] / info["hotcoco_s"], 2)
    info["through_hotcoco_over_hotcoco"] = round(info["ours_through_hotcoco_s"] / info["hotcoco_s"], 2)
    assert runs["ours"][0]["values"] == runs["hotcoco"][0]["values"] == runs["ours_through_hotcoco"][0]["values"]


@pytest.mark.slow
def test_bench_boxes_of_500_images_against_pycocotools(benchmark, tmp_path):
    files = write_boxes(tmp_path, images=500)

    runs = compare(benchmark, files, ("ours", "hotcoco", "pycocotools"), rounds=1)

    info = benchmark.extra_info
    info["pycocotools_over_ours"] = round(info["pycocotools_s"] / info["ours_s"], 1)
    assert runs["ours"][0]["values"] == runs["pycocotools"][0]["values"]


@pytest.mark.slow
def test_bench_a_thousand_replicates_of_5000_images(benchmark, tmp_path):
    """Times one chunk of resamples; a record draws 1,000."""
    files = write_boxes(tmp_path)
    case = read_case(files.truth, files.results)
    table = case.table()
    weights = next(iter(bootstrap.resample_weights(case.split.groups, bootstrap.REPLICATES, seed=0)))

    many = benchmark.pedantic(case.scorer.summarise_many, (table, weights), rounds=1)

    if benchmark.stats is not None:  # None when the suite runs with --benchmark-disable
        benchmark.extra_info["seconds_for_1000"] = round(benchmark.stats.stats.median * 1000 / len(weights), 1)
    assert np.isfinite(many["ap"]).all()


def test_bench_iou_of_masks_against_pycocotools(benchmark):
    import time

    from pycocotools import mask as reference

    rng = np.random.default_rng(0)
    shapes = _ellipses(rng, 60)
    ours = encode_dense(shapes)
    theirs = reference.encode(np.asfortranarray(shapes.transpose(1, 2, 0).astype(np.uint8)))
    crowd = np.zeros(60, dtype=bool)
    one, other = (grid.ravel() for grid in np.indices((60, 60)))

    iou = benchmark(lambda: pairwise_mask_iou(ours, ours, crowd)(one, other))
    start = time.perf_counter()
    wanted = reference.iou(theirs, theirs, [0] * 60)
    seconds = time.perf_counter() - start

    if benchmark.stats is not None:
        benchmark.extra_info["pycocotools_over_ours"] = round(seconds / benchmark.stats.stats.median, 2)
    assert iou.tolist() == wanted.ravel().tolist()


def _ellipses(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return masks (count, 240, 320) of ellipses anywhere."""
    y, x = np.mgrid[:240, :320]
    middle, radius = rng.random((count, 2)) * [240, 320], rng.uniform(8, 60, (count, 2))
    inside = [((y - m[0]) / r[0]) ** 2 + ((x - m[1]) / r[1]) ** 2 < 1 for m, r in zip(middle, radius, strict=True)]
    return np.stack(inside)


def test_the_set_is_as_large_as_it_says(tmp_path: Path):
    files = write_boxes(tmp_path, images=20, detections=10)

    case = read_case(files.truth, files.results)

    assert len(case.predictions["scores"].values) == 200
    assert case.predictions["scores"].counts.tolist() == [10] * 20
