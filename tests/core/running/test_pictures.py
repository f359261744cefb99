"""A picture that cannot be drawn costs itself and a notice."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.runs import config_for

from mlcvbench.running import history_plot, stages
from mlcvbench_classification.task import ClassificationTask


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
    monkeypatch.setattr(history_plot, "draw", fail)

    record = stages.execute(config_for("model=mlp", "fit.epochs=1", "strict=on"), tmp_path)

    assert record.status == "ok"
    assert record.plots == ()
    assert record.notices[0].text == "Pictures could not be drawn (MemoryError); scores and costs stand."
    assert not (tmp_path / "plots").exists()
