"""Thresholds are chosen on validation samples: predicted where the fit kept some, few enough to cost little."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from support.runs import config_for

from mlcvbench.contract import Outcome
from mlcvbench.loading.data import FitData
from mlcvbench.running import fitting, held_out, stages
from mlcvbench_classification.task import ClassificationTask


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a model that learns from the validation split, too, keep it out of its fit."""
    monkeypatch.setattr(fitting, "fit_data", lambda data, *_: FitData(data.splits["train"], data.splits["val"]))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Outcome]]:
    """Let the task choose thresholds, and keep what its breakdowns are made of."""
    outcomes: list[Outcome] = []
    monkeypatch.setattr(ClassificationTask, "chooses", True)
    monkeypatch.setattr(ClassificationTask, "breakdowns", lambda _, outcome: outcomes.append(outcome) or [])
    return outcomes


@pytest.mark.usefixtures("kept")
def test_validation_samples_are_predicted_and_scored_as_test_samples_are(tmp_path, seen):
    record = stages.execute(config_for(), tmp_path)

    [outcome] = seen
    held = outcome.held_out
    assert held is not None
    assert held.samples == min(held_out.MOST, len(outcome.split) // held_out.PART)
    assert np.unique(held.table["unit"]).tolist() == list(range(held.samples))
    assert set(held.table.columns) == set(outcome.table.columns)
    assert list(record.stage_seconds)[-3:] == ["validation", "breakdowns", "plots"]


def test_where_the_fit_learned_from_all_samples_there_are_none(tmp_path, seen):
    record = stages.execute(config_for(), tmp_path)

    assert record.status == "ok"
    assert [outcome.held_out for outcome in seen] == [None]


@pytest.mark.usefixtures("kept")
def test_for_few_test_samples_there_are_none(tmp_path, seen):
    stages.execute(config_for("limit=40"), tmp_path)

    assert [outcome.held_out for outcome in seen] == [None]


@pytest.mark.usefixtures("kept")
def test_a_task_that_chooses_nothing_predicts_no_more(tmp_path, seen, monkeypatch):
    monkeypatch.setattr(ClassificationTask, "chooses", False)

    record = stages.execute(config_for(), tmp_path)

    assert [outcome.held_out for outcome in seen] == [None]
    assert "validation" not in record.stage_seconds


@pytest.mark.usefixtures("kept")
def test_samples_that_cannot_be_predicted_leave_the_score(tmp_path, seen, monkeypatch):
    monkeypatch.setattr(held_out, "predict", lambda *_: 1 / 0)

    record = stages.execute(config_for(), tmp_path)

    assert record.status == "ok"
    assert [outcome.held_out for outcome in seen] == [None]
    assert [notice.code for notice in record.notices] == ["no-validation"]
