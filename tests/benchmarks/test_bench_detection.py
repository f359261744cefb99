"""Speed of COCO scoring: ratios against the fastest exact engine and the reference, each in a process of its own.

Nothing here asserts a time: seconds, ratios and peaks are stored in `extra_info` of the benchmark's report. One thread
a process; imports are not counted; the twelve numbers must be equal to the last bit.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from support.coco_like import Files, write_boxes, write_masks
from support.detection import read_case

from mlcvbench.stats import bootstrap
from mlcvbench_detection.geometry.masks import pairwise_mask_iou
from mlcvbench_detection.geometry.ragged import starts_of
from mlcvbench_detection.geometry.rle import Masks, decode_text

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


def test_bench_iou_of_masks_of_a_crowded_image_against_pycocotools(benchmark):
    from pycocotools import mask as reference

    shapes = _ellipses(np.random.default_rng(0), 60)
    theirs = reference.encode(np.asfortranarray(shapes.transpose(1, 2, 0).astype(np.uint8)))
    text = [np.frombuffer(code["counts"], np.uint8) for code in theirs]
    starts = starts_of(np.array([len(part) for part in text]))
    ours = decode_text(np.concatenate(text), starts, np.tile([240, 320], (60, 1)))
    assert isinstance(ours, Masks)
    one, other = (grid.ravel() for grid in np.indices((60, 60)))

    iou = benchmark(lambda: pairwise_mask_iou(ours, ours, np.zeros(60, dtype=bool))(one, other))
    wanted = _compare_iou(benchmark, lambda: reference.iou(theirs, theirs, [0] * 60))

    assert iou.tolist() == wanted.ravel().tolist()


def test_bench_matching_of_masks_of_100_images_against_pycocotools(benchmark, tmp_path):
    """Measures the IoU of all masks of one class and image, and the whole of matching, beside `COCOeval`'s."""
    from pycocotools import mask as reference
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    files = write_masks(tmp_path)
    case = read_case(files.truth, files.results, "segm")
    truth, detected = (case.split.targets()["masks"], case.predictions["masks"])
    key, wanted_key = _groups(case.predictions), _groups(case.split.targets())
    one, other = (np.concatenate(part) for part in zip(*_pairs_of(key, wanted_key), strict=True))
    crowd = case.split.targets()["crowd"].values
    with contextlib.redirect_stdout(io.StringIO()):
        annotated = COCO(str(files.truth))
        evaluation = COCOeval(annotated, annotated.loadRes(str(files.results)), "segm")
    found, given = (json.loads(path.read_text(encoding="utf-8")) for path in (files.results, files.truth))
    calls = [
        ([found[row]["segmentation"] for row in rows], [given["annotations"][row] for row in columns])
        for rows, columns in ((np.unique(rows), np.unique(columns)) for rows, columns in _pairs_of(key, wanted_key))
    ]

    iou = benchmark(lambda: pairwise_mask_iou(detected.values, truth.values, crowd)(one, other))
    wanted = _compare_iou(
        benchmark,
        lambda: [
            reference.iou(rows, [one["segmentation"] for one in columns], [one["iscrowd"] for one in columns])
            for rows, columns in calls
        ],
    )

    assert iou.tolist() == np.concatenate([part.ravel() for part in wanted]).tolist()
    start = time.perf_counter()
    case.table()
    middle = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
    benchmark.extra_info["evaluate_over_our_rows"] = round((time.perf_counter() - middle) / (middle - start), 1)


def _groups(columns: Any) -> np.ndarray:
    """Return a number of the image and class of each label of a column."""
    return columns["labels"].units * 80 + columns["labels"].values


def _pairs_of(key: np.ndarray, other_key: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return every pair of detections and annotations of each group, as indices."""
    shared = np.intersect1d(key, other_key)
    grids = (np.meshgrid(np.flatnonzero(key == one), np.flatnonzero(other_key == one), indexing="ij") for one in shared)
    return [(rows.ravel(), columns.ravel()) for rows, columns in grids]


def _compare_iou(benchmark: Any, theirs: Callable[[], Any]) -> Any:
    """Return what pycocotools returns, and note how much longer it takes."""
    seconds = []
    for _ in range(9):
        start = time.perf_counter()
        wanted = theirs()
        seconds.append(time.perf_counter() - start)
    if benchmark.stats is not None:  # None when the suite runs with --benchmark-disable
        benchmark.extra_info["pycocotools_over_ours"] = round(median(seconds) / benchmark.stats.stats.median, 2)
    return wanted


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
