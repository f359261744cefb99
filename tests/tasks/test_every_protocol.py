"""What holds for every protocol of every kind: any number of shards gives the same bits, by hand and as a command."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from support.detection import VAL100
from support.faces import embeddings, face_split, write_faces
from support.lvis_like import as_masks, federated_case
from support.runs import stored_run

from mlcvbench.cli import main
from mlcvbench.contract import Predictions, Problem, Scorer, Table, Targets, Task
from mlcvbench.running.scoring import tabulate
from mlcvbench_classification.task import ClassificationTask
from mlcvbench_depth.task import DepthTask
from mlcvbench_detection.coco.annotations import load_coco
from mlcvbench_detection.geometry.ragged import Ragged
from mlcvbench_detection.task import DetectionTask
from mlcvbench_segmentation.task import SegmentationTask
from mlcvbench_verification.task import VerificationTask

TASKS: dict[str, Task] = {
    "classification": ClassificationTask(),
    "detection": DetectionTask(),
    "segmentation": SegmentationTask(),
    "verification": VerificationTask(),
    "depth": DepthTask(),
}
CASES = [(kind, protocol) for kind, task in TASKS.items() for protocol in task.protocols()]


class Columns(NamedTuple):
    """A test set and predictions for it."""

    predictions: Predictions
    targets: Targets
    problem: Problem
    count: int


def classified(protocol: str) -> Columns:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 7, 40)
    scores = rng.integers(0, 5, (40, 7)).astype(np.float32)  # ties
    return Columns({"scores": scores}, {"label": label}, _problem("classification", 7), 40)


@functools.cache
def detected(protocol: str) -> Columns:
    """Return the published masks of pycocotools, whose boxes are scored as well; some objects are called difficult."""
    if protocol.startswith("lvis"):
        return federated()
    data = load_coco({"annotations": str(VAL100 / "instances_val2014_100.json"), "masks": True}, 0)
    split = data.splits["test"]
    results = VAL100 / "instances_val2014_fakesegm100_results.json"
    predictions = DetectionTask().read_external(results, split, data.problem, {}).predictions
    targets = dict(split.targets())
    labels = targets["labels"]
    assert isinstance(labels, Ragged)
    difficult: Any = Ragged(np.random.default_rng(1).random(len(labels.values)) < 0.2, labels.starts)
    return Columns(predictions, {**targets, "difficult": difficult}, data.problem, len(split))


def federated() -> Columns:
    """Return masks of a set in which images were checked for some classes only."""
    truth, results = federated_case(0)
    with tempfile.TemporaryDirectory() as folder:
        annotations, found = Path(folder) / "truth.json", Path(folder) / "results.json"
        annotations.write_text(json.dumps(truth))
        found.write_text(json.dumps(as_masks(results)))
        data = load_coco({"annotations": str(annotations), "masks": True}, 0)
        split = data.splits["test"]
        predictions = DetectionTask().read_external(found, split, data.problem, {}).predictions
    return Columns(predictions, split.targets(), data.problem, len(split))


def segmented(protocol: str) -> Columns:
    """Return maps of unequal size, of 300 classes where 65535 is ignored; pixels are ignored where that is allowed."""
    rng = np.random.default_rng(2)
    classes, ignored = (300, 65535) if "ignore65535" in protocol else (3, 255)
    dtype = np.uint16 if classes > 255 else np.uint8
    labels = [rng.choice([0, 1, classes - 1, ignored], (9, 7 + i % 3)).astype(dtype) for i in range(12)]
    if "ignore-none" in protocol:
        labels = [np.where(label == ignored, 1, label).astype(dtype) for label in labels]
    guesses = [np.where((rng.random(lab.shape) < 0.6) & (lab != ignored), lab, 1).astype(dtype) for lab in labels]
    return Columns({"label_map": guesses}, {"label_map": labels}, _problem("segmentation", classes), 12)


def verified(protocol: str) -> Columns:
    split = face_split(folds=5)
    by = protocol.rsplit("/", 1)[1].removesuffix("@1")
    targets = split.targets()
    predictions: Predictions = embeddings(split, noise=1.5)
    if by in {"l1", "l2"}:
        predictions = {**predictions, "distance": np.full(len(split), by)}
    if by == "given":
        count = len(targets["pairs"])
        predictions = {"similarity": np.random.default_rng(3).integers(0, 50, count) / 50}
    return Columns(predictions, targets, _problem("verification", 0), len(split))


def measured(protocol: str) -> Columns:
    """Return maps of unequal size with unknown pixels; of disparities also holes, and pixels only one camera sees."""
    rng = np.random.default_rng(4)
    truth = [rng.uniform(1, 60, (10, 12 + i % 2)).astype(np.float32) for i in range(11)]
    estimate = [(t * rng.uniform(0.7, 1.5, t.shape)).astype(np.float32) for t in truth]
    occluded = [rng.random(t.shape) < 0.1 for t in truth]
    field = "depth" if protocol.startswith("mono") else "disparity"
    for one, other in zip(truth, estimate, strict=True):
        one[rng.random(one.shape) < 0.2] = 0
        if field == "disparity":
            other[rng.random(one.shape) < 0.1] = 0
    return Columns({field: estimate}, {field: truth, "occluded": occluded}, _problem("depth", 0), 11)


MAKE: dict[str, Callable[[str], Columns]] = {
    "classification": classified,
    "detection": detected,
    "segmentation": segmented,
    "verification": verified,
    "depth": measured,
}


@pytest.mark.parametrize(("kind", "protocol"), CASES)
def test_one_two_and_seven_shards_give_the_same_table_values_and_replicates(kind: str, protocol: str) -> None:
    predictions, targets, problem, count = MAKE[kind](protocol)
    weights = np.random.default_rng(5).integers(0, 3, (2, count)).astype(np.float64)

    def scored(shards: int) -> tuple[Scorer, Table]:
        scorer = TASKS[kind].scorer(protocol, problem)  # a fresh one: nothing is remembered of another table
        return scorer, tabulate(scorer, predictions, targets, count, shards=shards)

    scorer, whole = scored(1)
    values, many = scorer.summarise(whole), scorer.summarise_many(whole, weights)
    assert any(value is not None for value in values.values())
    for shards in (2, 7):
        other, table = scored(shards)
        assert list(table.columns) == list(whole.columns)
        assert all(table[name].dtype == whole[name].dtype for name in whole.columns)
        assert all(table[name].tobytes() == whole[name].tobytes() for name in whole.columns)
        assert other.summarise(table) == values
        again = other.summarise_many(table, weights)
        assert all(again[name].tobytes() == many[name].tobytes() for name in many)


@pytest.mark.parametrize("task", ["face-pairs", "face-identification"])
def test_a_verification_run_in_shards_leaves_the_same_bytes(task: str, tmp_path: Path) -> None:
    faces = write_faces(tmp_path / "faces", count=4, each=3)
    words = [f"task={task}", "model=pixel_distance", f"data.root={faces}"]

    whole, folder = stored_run(tmp_path / "one", *words)

    assert whole.status == "ok", whole.error
    for shards in (2, 7):
        parts, other = stored_run(tmp_path / str(shards), *words, f"shards={shards}")
        assert parts.status == "ok", parts.error
        assert parts.metrics == whole.metrics
        for name in ("predictions.npz", "rows.parquet", "replicates.npz"):
            assert (other / name).read_bytes() == (folder / name).read_bytes()


def test_a_verification_run_in_shards_works_from_the_command_line(tmp_path: Path, capsys) -> None:
    faces = write_faces(tmp_path / "faces", count=4, each=3)
    words = ["run", "task=face-pairs", "model=pixel_distance", f"data.root={faces}", "time=off", "intervals=off"]
    values = []
    for shards in (1, 7):
        assert main([*words, f"shards={shards}", f"out={tmp_path / str(shards)}"]) == 0, capsys.readouterr().err
        (record,) = (tmp_path / str(shards)).glob("*/record.json")
        values.append(json.loads(record.read_text(encoding="utf-8"))["metrics"])

    assert values[0] == values[1]
    assert values[0]["auc"]["value"] is not None


def _problem(kind: str, classes: int) -> Problem:
    return Problem(kind, tuple(f"class{i}" for i in range(classes)), {})
