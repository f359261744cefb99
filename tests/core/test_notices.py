"""What is legal but surely not meant is said on the record and wherever it is shown; strict=on refuses it."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from support.runs import config_for

from mlcvbench.cli.score import score as command
from mlcvbench.contract import Notice
from mlcvbench.plan.entries import entries_of
from mlcvbench.running.record_draft import Draft
from mlcvbench.running.results import Subject
from mlcvbench_classification.task import ClassificationTask

FEW = Notice("few-samples", "the split has fewer samples than classes; look twice.", 3)


@pytest.fixture(autouse=True)
def _noticing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClassificationTask, "notices", lambda *_: [FEW, FEW])


def score(folder: Path, *words: str) -> object:
    rng = np.random.default_rng(0)
    np.savez(folder / "p.npz", scores=rng.normal(size=(797, 10)).astype(np.float32))
    settings = ["task=digits", f"predictions={folder / 'p.npz'}", "as=a", "intervals=off", f"out={folder / 'runs'}"]
    return CliRunner().invoke(command, [*settings, *words])


def test_a_notice_is_stored_once_and_printed_with_the_score(tmp_path: Path) -> None:
    outcome = score(tmp_path)

    assert outcome.exit_code == 0
    assert (
        "notices\n  few-samples             the split has fewer samples than classes; look twice.\n" in outcome.output
    )
    record = json.loads(next((tmp_path / "runs").glob("*/record.json")).read_text())
    assert record["notices"] == [{"code": FEW.code, "text": FEW.text, "count": 3}]


def test_strict_refuses_a_notice_and_stores_nothing(tmp_path: Path) -> None:
    outcome = score(tmp_path, "strict=on")

    assert str(outcome.exception) == f"strict=on: {FEW.text}"
    assert outcome.exception.exit_code == 2
    assert list((tmp_path / "runs").glob("*/record.json")) == []


def test_a_notice_names_files_without_the_place_where_the_data_lie(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    config = config_for("task=fashion-mnist", f"data.root={root}")
    draft = Draft(Subject(config, entries_of(config)))

    draft.notice([Notice("images-turned", f"3 images were turned, the first is {root}/a/1.jpg.", 3)])

    assert [notice.text for notice in draft.results.notices] == ["3 images were turned, the first is photos/a/1.jpg."]


@pytest.mark.parametrize(("model", "said"), [("majority", []), ("knn", ["one-class-predicted"])])
def test_what_a_floor_is_by_nature_is_no_news(model: str, said: list[str]) -> None:
    config = config_for(f"model={model}", "strict=off")
    draft = Draft(Subject(config, entries_of(config)))

    draft.notice([Notice("one-class-predicted", "all samples were predicted to be '3'.", 797)])

    assert [notice.code for notice in draft.results.notices] == said


def test_strict_lets_a_floor_be_what_it_is() -> None:
    config = config_for("model=majority", "strict=on")
    draft = Draft(Subject(config, entries_of(config)))

    draft.notice([Notice("one-class-predicted", "all samples were predicted to be '3'.", 797)])

    assert not draft.results.notices
