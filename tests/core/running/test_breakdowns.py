"""The numbers behind the metrics in a record: as the task gives them; those that fail cost a notice, not the score."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.runs import config_for

from mlcvbench.contract import ArraySplit, Batch, Breakdown, Model, Operations, Predictions, Problem
from mlcvbench.measure import TimingResult
from mlcvbench.records.schema import LatencyInfo, ThroughputInfo, YardstickInfo
from mlcvbench.running import stages
from mlcvbench.running.breakdowns import operations_by_amount, times_by_amount
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


def timing_of(images: int, calls: int, **changes: object) -> TimingResult:
    """Return times of calls in turn, of which those of the whole take as many ms as the turn, and stages half of it."""
    turn, ahead = np.arange(calls) % images, (np.arange(calls) + images // 2) % images
    samples = {"end_to_end": turn * 1_000_000}
    samples |= dict.fromkeys(("preprocess", "forward", "postprocess"), ahead * 500_000)
    latency = {name: LatencyInfo(n=calls, **changes) for name in samples}
    return TimingResult(latency, ThroughputInfo(), YardstickInfo(), samples)


def test_times_are_told_apart_by_what_samples_hold():
    amount = np.array([0, 9, 3, 3, 1, 7, 2, 5])

    [part] = times_by_amount("objects", amount, timing_of(8, 80))

    assert (part.title, part.names) == ("Time by number of objects", ["0 to 1", "2 to 3", "5", "7 to 9"])
    assert part.columns["samples"] == ("1", [2.0, 3.0, 1.0, 2.0])
    medians = [np.median([0, 4]), np.median([2, 3, 6]), 7, np.median([1, 5])]  # of the turns that hold so many
    assert part.columns["end to end"] == ("s", pytest.approx([value / 1e3 for value in medians]))
    assert part.columns["forward"] == ("s", pytest.approx([value / 2e3 for value in medians]))


def test_of_many_samples_those_in_rotation_count():
    amount = np.zeros(1000, dtype=int)
    amount[999] = 4  # the last is timed

    [part] = times_by_amount("objects", amount, timing_of(64, 640))

    assert part.columns["samples"] == ("1", [63.0, 1.0])
    assert part.columns["end to end"][1][1] == 0.063


@pytest.mark.parametrize(
    ("amount", "changes"),
    [([2, 2, 2, 2], {}), ([1, 2, 3, 4], {"dropped": 1}), ([1, 2, 3, 4], {"clock": "cuda events"})],
    ids=["all alike", "calls dropped", "on a device"],
)
def test_times_that_do_not_differ_or_are_not_known_by_sample_are_left_out(amount, changes):
    assert times_by_amount("objects", np.array(amount), timing_of(4, 40, **changes)) == []


def test_calls_of_several_processes_are_joined_and_thinned_ones_left_out():
    timing = timing_of(4, 40)
    split = {f"{name}.{place}": values[:20] for name, values in timing.samples.items() for place in range(2)}

    [part] = times_by_amount("objects", np.array([1, 2, 3, 4]), replace(timing, samples=split))
    thin = {name: values[::2] for name, values in timing.samples.items()}

    assert part.columns["end to end"] == ("s", [0.0, 0.001, 0.002, 0.003])
    assert times_by_amount("objects", np.array([1, 2, 3, 4]), replace(timing, samples=thin)) == []


class Cascade(Model):
    """Looks at ten windows of an image, and evaluates as many features as its first pixel says."""

    varies = True

    def forward(self, inputs: Any) -> Any:
        raise NotImplementedError

    def postprocess(self, outputs: Any, batch: Batch) -> Predictions:
        raise NotImplementedError

    def operations(self, inputs: Any) -> Operations:
        return Operations(None, {"windows": 10, "haar_features": int(inputs["image"][0, 0])}, varies=self.varies)


def test_operations_that_depend_on_the_sample_are_told_apart_by_what_it_holds():
    amount = np.repeat([0, 1, 2], 9)
    features = np.repeat([3, 50, 70], 9) + 2 * np.tile(np.arange(9), 3)  # 7 more in the mean of the first eight
    split = ArraySplit("test", {"image": features[:, None]}, {})

    [part] = operations_by_amount("objects", amount, Cascade(Problem("detection", (), {})), split)

    assert (part.title, part.names) == ("Operations by number of objects", ["0", "1", "2"])
    assert part.columns == {
        "samples": ("1", [8.0, 8.0, 8.0]),
        "windows": ("1", [10.0, 10.0, 10.0]),
        "haar features": ("1", [10.0, 57.0, 77.0]),
    }


def test_operations_that_are_the_same_for_all_samples_are_not_counted_again(monkeypatch):
    monkeypatch.setattr(Cascade, "varies", False)
    split = ArraySplit("test", {"image": np.arange(4)[:, None]}, {})

    assert operations_by_amount("objects", np.arange(4), Cascade(Problem("detection", (), {})), split) == []


def test_a_timed_run_of_a_detector_shows_time_by_objects(tmp_path):
    # a model of milliseconds: calls of microseconds are too many to be kept one by one
    record = stages.execute(config_for("task=scenes", "model=selective_search", "time=quick", "limit=8"), tmp_path)

    (part,) = (one for one in record.breakdowns if one.title.startswith("Time by number of"))

    assert part.title == "Time by number of objects"
    assert [column.name for column in part.columns] == ["samples", "end to end", "preprocess", "forward", "postprocess"]
    assert sum(part.columns[0].values) == 8
