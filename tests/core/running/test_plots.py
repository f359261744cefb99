"""The pictures of a run: of its fit, of single calls; one that cannot be drawn costs itself and a notice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.runs import config_for

from mlcvbench.running import plots, stages
from mlcvbench_classification.task import ClassificationTask

HISTORY = {
    "loss": [2.0, 1.0, 0.5],
    "train_accuracy": [0.1, 0.5, 0.9],
    "val_accuracy": [0.1, 0.4, 0.8],
    "lr": [0.1, 0.1, 0.01],
}


def test_loss_accuracy_and_rate_are_drawn_side_by_side_on_white(tmp_path):
    [plot] = plots.of_history(tmp_path / "plots", HISTORY)

    image = np.asarray(Image.open(tmp_path / "plots" / plot.file).convert("RGB"))
    columns = np.flatnonzero((image != 255).any(axis=(0, 2)))
    assert (plot.file, plot.title) == ("history.png", "History of the fit")
    assert plot.alt == ("The fit over 3 epochs; it ends with loss 0.5, train_accuracy 0.9, val_accuracy 0.8, lr 0.01.")
    assert (image[:3] == 255).all()
    assert columns[0] < image.shape[1] / 3
    assert columns[-1] > image.shape[1] * 0.95


def test_equal_histories_give_equal_bytes(tmp_path):
    files = []
    for name in ("a", "b"):
        plots.of_history(tmp_path / name, HISTORY)
        files.append((tmp_path / name / "history.png").read_bytes())

    assert files[0] == files[1]


def test_a_history_without_a_rate_has_one_panel_less(tmp_path):
    plots.of_history(tmp_path / "three", HISTORY)
    plots.of_history(tmp_path / "two", {"loss": [1.0], "train_accuracy": [0.5], "lr": []})

    widths = {}
    for name in ("three", "two"):
        with Image.open(tmp_path / name / "history.png") as image:
            widths[name] = image.width
    assert widths["two"] * 3 == widths["three"] * 2


def test_a_fit_without_a_history_draws_nothing(tmp_path):
    assert plots.of_history(tmp_path / "plots", {"trees": [1.0]}) == ()
    assert not (tmp_path / "plots").exists()


def calls(count):
    return np.random.default_rng(0).lognormal(14, 0.2, count).astype(np.int64)


def test_the_histogram_names_the_percentiles_that_the_count_supports(tmp_path):
    (plot,) = plots.of_latency(tmp_path / "plots", {"end_to_end": calls(200)})

    assert plot.alt.startswith("Histogram of 200 calls: p50 1.")
    assert "p99" not in plot.alt
    assert (tmp_path / "plots" / plots.LATENCY_FILE).read_bytes().startswith(b"\x89PNG")


def test_equal_samples_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        plots.of_latency(tmp_path / name, {"end_to_end": calls(100)})

    assert (tmp_path / "one" / plots.LATENCY_FILE).read_bytes() == (tmp_path / "two" / plots.LATENCY_FILE).read_bytes()


def test_calls_of_one_length_and_one_slow_call_are_drawn(tmp_path):
    assert plots.of_latency(tmp_path / "plots", {"end_to_end": np.array([1_000_000] * 20 + [10**9])})


def test_a_handful_of_calls_is_not_drawn(tmp_path):
    assert plots.of_latency(tmp_path / "plots", {"end_to_end": calls(5)}) == ()
    assert plots.of_latency(tmp_path / "plots", {}) == ()
    assert not (tmp_path / "plots").exists()


def test_scores_and_the_other_pictures_stand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def half(_: object, folder: Path, __: object) -> None:
        (folder / "confusion.png").write_bytes(b"half")
        raise ValueError("no room for 4,000 names.\nUse fewer.")

    monkeypatch.setattr(ClassificationTask, "plot", half)

    record = stages.execute(config_for("model=mlp", "fit.epochs=1", "intervals=on"), tmp_path)

    assert record.status == "ok"
    assert record.metrics["top1"].value is not None
    assert [(notice.code, notice.text) for notice in record.notices] == [
        ("pictures-not-drawn", "Pictures could not be drawn (no room for 4,000 names); scores and costs stand.")
    ]
    assert [plot.file for plot in record.plots] == ["history.png"]
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["history.png"]


def test_no_picture_leaves_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ClassificationTask, "plot", fail)
    monkeypatch.setattr(plots, "of_history", fail)

    record = stages.execute(config_for("model=mlp", "fit.epochs=1", "strict=on"), tmp_path)

    assert record.status == "ok"
    assert record.plots == ()
    assert record.notices[0].text == "Pictures could not be drawn (MemoryError); scores and costs stand."
    assert not (tmp_path / "plots").exists()
