"""The pictures of a record: which are drawn, and that equal results give equal bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.classification import problem_of

from mlcvbench.contract import ArraySplit, Outcome, Plot
from mlcvbench_classification.task import ClassificationTask

TASK = ClassificationTask()
PROTOCOL = "top1/single-crop@1"


def drawn(folder: Path, classes: int, predictions: dict[str, np.ndarray], labels: np.ndarray) -> list[Plot]:
    names = [f"class ${i}$ with a very long name" if i == 1 else str(i) for i in range(classes)]
    problem, count = problem_of(names), len(labels)
    rng = np.random.default_rng(0)
    split = ArraySplit("test", {"image": rng.integers(0, 256, (count, 6, 6), dtype=np.uint8)}, {"label": labels})
    table = TASK.scorer(PROTOCOL, problem).rows(predictions, split.targets(), np.arange(count))
    return TASK.plot(folder, Outcome(predictions, split.targets(), split, problem, PROTOCOL, table))


def scores_of(labels: np.ndarray, classes: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(len(labels), classes)).astype(np.float32)
    scores[np.arange(len(labels)), labels] += 2
    return scores


@pytest.mark.parametrize("classes", [2, 10, 30, 100])
def test_scores_give_four_pictures_with_alternative_texts(tmp_path, classes):
    labels = np.arange(200) % classes

    plots = drawn(tmp_path, classes, {"scores": scores_of(labels, classes)}, labels)

    assert [plot.file for plot in plots] == ["confusion.png", "classes.png", "mistakes.png", "reliability.png"]
    assert plots[0].title == ("Confusion matrix" if classes <= 60 else "Most frequent confusions")
    for plot in plots:
        assert plot.alt
        with Image.open(tmp_path / plot.file) as image:
            assert image.width <= 1300
            assert image.height <= 1300


def test_equal_results_give_equal_bytes_without_dates_or_versions(tmp_path):
    labels = np.arange(50) % 10
    for name in ("one", "two"):
        drawn(tmp_path / name, 10, {"scores": scores_of(labels, 10)}, labels)

    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
        assert b"tEXt" not in path.read_bytes()


def test_perfect_predictions_have_no_mistakes_to_show(tmp_path):
    labels = np.arange(20) % 4

    plots = drawn(tmp_path, 4, {"scores": np.eye(4, dtype=np.float32)[labels]}, labels)

    assert [plot.file for plot in plots] == ["confusion.png", "classes.png", "reliability.png"]


def test_labels_without_scores_have_no_reliability(tmp_path):
    labels = np.arange(20) % 4

    plots = drawn(tmp_path, 4, {"labels": np.zeros(20, np.int64)}, labels)

    assert [plot.file for plot in plots] == ["confusion.png", "classes.png", "mistakes.png"]
