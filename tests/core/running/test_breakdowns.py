"""The numbers behind the metrics in a record: as the task gives them; those that fail cost a notice, not the score."""

from __future__ import annotations

import math

from support.runs import config_for

from mlcvbench.contract import Breakdown
from mlcvbench.running import stages
from mlcvbench_classification.task import ClassificationTask


def test_the_record_holds_what_the_task_gives(tmp_path, monkeypatch):
    part = Breakdown("By class", "All of them.", "class", ["0"], {"n": ("1", [3.0]), "F1": ("fraction", [None])})
    monkeypatch.setattr(ClassificationTask, "breakdowns", lambda *_: [part])

    [kept] = stages.execute(config_for(), tmp_path).breakdowns

    assert (kept.title, kept.note, kept.of, kept.names) == ("By class", "All of them.", "class", ("0",))
    assert [(column.name, column.unit, column.values) for column in kept.columns] == [
        ("n", "1", (3.0,)),
        ("F1", "fraction", (None,)),
    ]


def test_without_rows_there_are_none(tmp_path, monkeypatch):
    monkeypatch.setattr(ClassificationTask, "breakdowns", lambda *_: 1 / 0)

    record = stages.execute(config_for("intervals=off"), tmp_path)

    assert record.breakdowns == ()
    assert record.status == "ok"


def test_numbers_that_cannot_be_computed_leave_the_score(tmp_path, monkeypatch):
    given = Breakdown("By class", "", "class", ["0"], {"n": ("1", [math.nan])})
    monkeypatch.setattr(ClassificationTask, "breakdowns", lambda *_: [given])

    record = stages.execute(config_for(), tmp_path)

    assert record.status == "ok"
    assert record.breakdowns == ()
    assert [notice.code for notice in record.notices] == ["no-breakdowns"]
