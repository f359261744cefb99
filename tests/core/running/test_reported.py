"""What a fit reports by epoch: what is kept, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from mlcvbench.processes.progress import Numbers
from mlcvbench.running.reported import Reported


def test_each_report_is_told_at_once_with_its_epoch_and_gaps_as_none():
    told: list[Numbers] = []
    report = Reported(None, told.append)

    report(1, loss=1, top1=True)
    report(2, loss=math.nan, top1=None)

    assert told == [{"epoch": 1, "loss": 1.0, "top1": 1.0}, {"epoch": 2, "loss": None, "top1": None}]
    assert report.columns() == {"loss": [1.0, None], "top1": [1.0, None]}


def test_an_epoch_reported_anew_takes_the_place_of_itself_and_of_later_ones():
    report = Reported(None, lambda _: None)

    for epoch, loss in ((1, 4.0), (2, 3.0), (3, 2.0), (2, 1.0)):
        report(epoch, loss=loss)

    assert report.columns() == {"loss": [4.0, 1.0]}


def test_a_fit_that_resumes_has_the_epochs_of_before_and_tells_them(tmp_path: Path):
    killed, told = Reported(tmp_path, lambda _: None), []
    for epoch in (1, 2, 3):
        killed(epoch, loss=1 / epoch)
    with (tmp_path / "reported.jsonl").open("a") as file:
        file.write('[4, {"lo')  # the kill came while it wrote

    resumed = Reported(tmp_path, told.append)
    before = resumed.columns()
    resumed(3, loss=0.1)
    resumed(4, loss=0.0)

    assert before == {}
    assert resumed.columns() == {"loss": [1.0, 0.5, 0.1, 0.0]}
    assert told == [{"epoch": e, "loss": v} for e, v in ((1, 1.0), (2, 0.5), (3, 0.1), (4, 0.0))]
    assert Reported(tmp_path, told.append).columns() == {}


def test_a_fit_that_begins_anew_has_its_own_epochs_alone(tmp_path: Path):
    killed = Reported(tmp_path, lambda _: None)
    killed(1, loss=1.0)
    killed(2, loss=2.0)

    again = Reported(tmp_path, lambda _: None)
    again(1, error=3.0)

    assert again.columns() == {"error": [3.0]}


@pytest.mark.parametrize(
    ("epoch", "numbers", "message"),
    [
        (0, {}, "report: wanted an epoch from 1 to 100,000, got 0."),
        (1.5, {}, "report: wanted an epoch from 1 to 100,000, got 1.5."),
        (100_001, {}, "report: wanted an epoch from 1 to 100,000, got 100001."),
        (1, {"loss": "high"}, "report: loss is no number, got str."),
        (1, {"loss": [1.0]}, "report: loss is no number, got list."),
        (1, {"lo\nss": 1.0}, "report: wanted a name that can be printed, got 'lo\\nss'."),
    ],
)
def test_what_is_no_report_is_refused_where_it_is_made(epoch: int, numbers: dict[str, float], message: str):
    report = Reported(None, lambda _: None)

    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        report(epoch, **numbers)

    assert str(caught.value) == message
