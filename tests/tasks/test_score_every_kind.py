"""`mlcvbench score` from a folder on disk to a record, for every kind of task, through the real command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image
from support.depth_maps import disparities, write_image, write_map, write_png16, write_stereo_folder
from support.faces import write_faces
from support.label_folders import label_maps, write_label_folder, write_predictions
from support.voc import annotation, voc_folder

from mlcvbench.analysis.rescoring import recompute
from mlcvbench.records.store import Store


class Case(NamedTuple):
    """The words after `score`, the metric that was worked out by hand, its value, and the pictures of the record."""

    words: list[str]
    metric: str
    value: float
    plots: set[str]


def classification(folder: Path) -> Case:
    """Four images of two classes, one label wrong."""
    for index in range(4):
        path = folder / f"set/test/{'ab'[index % 2]}/{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 60 * index, np.uint8)).save(path)
    ids = [f"{'ab'[index % 2]}/{index}.png" for index in range(4)]
    (folder / "p.csv").write_text(
        "id,label\n" + "".join(f"{name},{label}\n" for name, label in zip(ids, "abaa", strict=True))
    )
    definition = folder / "mine.yaml"
    definition.write_text(
        f"name: mine\nkind: classification\ntitle: Mine\nsummary: Two classes.\ndata:\n  name: image-folder\n"
        f"  root: {folder / 'set'}\nprotocol: top1/single-crop@1\nmetrics: [top1]\nmodels: []\n"
    )
    return Case([f"task={definition}", f"predictions={folder / 'p.csv'}"], "top1", 0.75, {"confusion.png"})


def detection(folder: Path) -> Case:
    """Two VOC images with a dog each; one is found, and a cat that is not there scores less."""
    root = voc_folder(folder, {name: annotation([("dog", (5, 5, 24, 24), "0")]) for name in "ab"})
    (root / "JPEGImages").mkdir()
    for name in "ab":
        Image.new("RGB", (60, 50), "grey").save(root / "JPEGImages" / f"{name}.jpg")
    results = folder / "results"
    results.mkdir()
    from mlcvbench_detection.voc.annotations import CLASSES

    for name in CLASSES:
        (results / f"comp4_det_test_{name}.txt").write_text("")
    (results / "comp4_det_test_dog.txt").write_text("a 0.9 5 5 24 25\nb 0.8 40 30 50 45\n")
    words = ["task=voc2012", f"data.root={root}", "data.split=test", f"predictions={results}"]
    files = {"precision_recall.png", "classes.png", "worst.png", "best.png"}
    return Case(words, "voc_ap50", 0.5, files)


def segmentation(folder: Path) -> Case:
    """Label PNGs; the mean IoU over the data set, from the definition."""
    labels = label_maps(5)
    root = write_label_folder(folder / "set", labels)
    guesses = write_predictions(folder / "out", labels)
    label = np.concatenate([one[one < 3] for one in labels])
    guess = np.concatenate([one[known < 3] for one, known in zip(guesses, labels, strict=True)])
    iou = [((label == k) & (guess == k)).sum() / ((label == k) | (guess == k)).sum() for k in range(3)]
    words = ["task=label-folder", f"data.root={root}", f"predictions={folder / 'out'}"]
    return Case(words, "miou", float(np.mean(iou)), {"classes.png", "worst.png", "best.png"})


def verification(folder: Path) -> Case:
    """Embeddings of faces; the area under the ROC by counting pairs of pairs."""
    root = write_faces(folder / "faces")
    ids = sorted(f"{path.parent.name}/{path.stem}" for path in root.rglob("*.png"))
    people = np.array([name.split("/")[0] for name in ids])
    rng = np.random.default_rng(3)
    centres = {person: rng.normal(size=4) for person in np.unique(people)}
    vectors = np.array([centres[person] + rng.normal(size=4) for person in people])
    np.savez(folder / "e.npz", embedding=vectors[::-1].astype(np.float32), ids=np.array(ids[::-1]))
    unit = vectors.astype(np.float32).astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    first, second = np.triu_indices(len(ids), 1)
    similarity, same = (unit[first] * unit[second]).sum(axis=1), people[first] == people[second]
    auc = (similarity[same][:, None] > similarity[~same][None]).mean()
    words = ["task=face-pairs", f"data.root={root}", f"predictions={folder / 'e.npz'}"]
    return Case(words, "auc", float(auc), {"roc.png", "det.png", "similarity.png", "worst.png"})


def stereo(folder: Path) -> Case:
    """Disparity maps as PFM, PNG and npz, a pixel or three too high; the mean error."""
    truth = disparities(3)
    root = write_stereo_folder(folder / "set", truth)
    for index, one in enumerate(truth):
        write_map(folder / "out", index, np.where(one > 50, 0, one + np.float32(1 + index)).astype(np.float32))
    counts = [((one > 0) & (one <= 50)).sum() for one in truth]
    words = ["task=stereo-folder", f"data.root={root}", f"predictions={folder / 'out'}"]
    return Case(words, "epe", float(np.dot(counts, [1, 2, 3]) / np.sum(counts)), {"worst.png", "errors.png"})


def monocular(folder: Path) -> Case:
    """Depth that is a tenth too far everywhere."""
    rng = np.random.default_rng(0)
    for index in range(2):
        metres = np.rint(rng.uniform(2, 30, (40, 60)) * 256) / 256
        write_image(folder / f"set/images/{index}.png", metres.shape)
        write_png16(folder / f"set/depth/{index}.png", metres)
        (folder / "out").mkdir(exist_ok=True)
        np.save(folder / f"out/{index}.npy", (metres * 1.1).astype(np.float32))
    words = ["task=depth-folder", f"data.root={folder / 'set'}", f"predictions={folder / 'out'}"]
    return Case(words, "abs_rel", 0.1, {"worst.png", "errors.png"})


def scored(words: list[str], out: Path) -> dict[str, Any]:
    code = "import sys; from mlcvbench.cli import main; sys.exit(main())"
    command = [sys.executable, "-W", "error", "-c", code, "score", *words, "as=other", f"out={out}", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    record: dict[str, Any] = json.loads(done.stdout)
    return record


@pytest.mark.parametrize("case", [classification, detection, segmentation, verification, stereo, monocular])
def test_predictions_from_elsewhere_become_a_record(tmp_path, case: Callable[[Path], Case]):
    wanted = case(tmp_path)

    record = scored(wanted.words, tmp_path / "runs")

    metric = record["metrics"][wanted.metric]
    assert metric["value"] == pytest.approx(wanted.value, rel=1e-5)
    assert metric["low"] <= metric["value"] <= metric["high"]
    assert (record["status"], record["trust"], record["partial"]) == ("ok", "reported", False)
    assert {plot["file"] for plot in record["plots"]} >= wanted.plots
    ((stored, folder),), problems = Store(tmp_path / "runs").records()
    assert problems == []
    assert {path.name for path in (folder / "plots").iterdir()} == {plot["file"] for plot in record["plots"]}
    given = dict(word.removeprefix("data.").split("=", 1) for word in wanted.words if word.startswith("data."))
    given = given or {"root": str(tmp_path / "set")}
    assert recompute(stored, folder, given).differences == ()


@pytest.mark.parametrize(
    ("case", "limit"),
    [(classification, 3), (detection, 1), (segmentation, 2), (verification, 6), (stereo, 2), (monocular, 1)],
)
def test_the_first_samples_are_scored_out_of_predictions_for_all(tmp_path, case: Callable[[Path], Case], limit: int):
    record = scored([*case(tmp_path).words, f"limit={limit}"], tmp_path / "runs")

    assert (record["status"], record["partial"], record["dataset"]["n"]) == ("ok", True, limit)
