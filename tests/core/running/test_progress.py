"""What a run's line on the terminal says."""

import io
import json
import re
from pathlib import Path

import pytest
from support.records import make_record

from mlcvbench.cli import main
from mlcvbench.plan.planning import plan
from mlcvbench.records.schema import CheckInfo, FitInfo
from mlcvbench.records.store import Store
from mlcvbench.running.progress import Reporter
from mlcvbench.running.sweep import SweepEvent

DEFINITION = """\
name: hasty
kind: classification
title: Digits in no time
data: {name: digits}
protocol: top1/single-crop@1
metrics: [top1]
models: [mlp]
fit: {budget: 0}
"""


def test_a_fit_that_its_budget_cut_short_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    task = tmp_path / "hasty.yaml"
    task.write_text(DEFINITION)
    words = [f"task={task}", "fit.epochs=3", "threads=1", "time=off", f"out={tmp_path / 'runs'}"]

    assert main(["run", *words]) == 0

    said = capsys.readouterr().err
    assert "; its fit was cut short after epoch 1: the budget is 0 s\n" in said


def test_the_lines_of_a_sweep_tell_its_runs_apart_and_name_no_path(tmp_path: Path):
    configs = plan(["task=fashion-mnist", "model=knn", "model.k=1,3", f"data.root={tmp_path}", "seed=7"]).configs
    stream = io.StringIO()

    with Reporter(stream=stream) as report:
        for index, config in enumerate(configs):
            report(SweepEvent("skipped", config, index, len(configs)))

    assert stream.getvalue() == "[1/2] knn k=1 seed 7: already stored\n[2/2] knn k=3 seed 7: already stored\n"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds since the test began, as the reporter sees them; the test sets the first."""
    now = [100.0]
    monkeypatch.setattr("mlcvbench.running.progress.time.monotonic", lambda: now[0])
    return now


def shown(report: Reporter, stream: io.StringIO) -> str:
    """Return what the line says now."""
    stream.seek(0)
    stream.truncate()
    report._line.draw()
    return stream.getvalue().lstrip("\r").rstrip()


def test_the_line_names_the_stage_that_runs_with_the_time_it_took_and_takes(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "81")
    configs = plan(["task=digits", "model=knn", "model.k=1,3", "threads=1"]).configs
    stream = io.StringIO()
    report = Reporter(stream=stream, live=True)

    def at(seconds: float, kind: str, index: int, **details: object) -> str:
        clock[0] = 100 + seconds
        report(SweepEvent(kind, configs[index], index, 2, **details))  # type: ignore[arg-type]
        return shown(report, stream)

    head = "[1/2] knn k=1 seed 0: "
    assert at(0, "reading", 0, stage="reading data") == f"{head}reading data, 0 s"
    assert at(3, "progress", 0, stage="resolve", steps=1) == f"{head}resolve, 3 s"
    assert at(3, "progress", 0, stage="resolve", done=1, steps=1) == f"{head}resolve, 3 s"
    assert at(3, "progress", 0, stage="fit", steps=1) == f"{head}fit, 3 s"
    assert at(9, "progress", 0, stage="fit", done=1, steps=10) == f"{head}fit 10%, 9 s"
    assert at(10, "progress", 0, stage="fit", done=2, steps=10) == f"{head}fit 20%, 10 s"
    assert at(12, "progress", 0, stage="fit", done=4, steps=10) == f"{head}fit 40%, 12 s, about 6 s left"
    assert at(19, "progress", 0, stage="latency", steps=1) == f"{head}latency, 19 s"
    at(20, "finished", 0)
    assert at(20, "progress", 1, stage="fit", steps=1) == "[2/2] knn k=3 seed 0: fit, 0 s"


def test_the_line_shows_what_a_fit_reported_last_as_far_as_there_is_room(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "81")
    (config,) = plan(["task=digits", "model=mlp", "model.hidden=[128,64]", "fit.epochs=20", "threads=1"]).configs
    stream = io.StringIO()
    report = Reporter(stream=stream, live=True)

    def at(done: int, numbers: dict[str, float | None] | None = None, stage: str = "fit") -> str:
        report(SweepEvent("progress", config, 0, 1, stage=stage, done=done, steps=20, numbers=numbers or {}))
        return shown(report, stream)

    assert at(1) == "[1/1] mlp hidden=[128,64] fit.epochs=20 seed 0: fit 5%, 0 s"
    few = {"epoch": 2, "loss": 0.51234}
    assert at(2, few) == "[1/1] mlp hidden=[128,64] fit.epochs=20 seed… fit 10%, epoch 2: loss 0.5123, 0 s"
    many = {"epoch": 3, "loss": 0.5, "val_loss": None, "val_top1": 0.912345, "val_macro_f1": 0.9}
    line = at(3, many)
    assert line == "[1/1] mlp hidden=[12… fit 15%, epoch 3: loss 0.5 val_loss - val_top1 0.9123, 0 s"
    assert len(line) == 80
    assert at(4).endswith("… fit 20%, epoch 3: loss 0.5 val_loss - val_top1 0.9123, 0 s")
    assert at(1, stage="predict") == "[1/1] mlp hidden=[128,64] fit.epochs=20 seed 0: predict 5%, 0 s"


def test_the_line_says_how_long_all_runs_will_take_once_some_have_ended(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "81")
    configs = plan(["task=digits", "model=knn", "model.k=1,3,5,7", "threads=1"]).configs
    stream = io.StringIO()
    report = Reporter(stream=stream, live=True)

    for index, seconds in enumerate((10.0, 20.0)):
        report(SweepEvent("progress", configs[index], index, 4, stage="fit"))
        clock[0] += seconds
        report(SweepEvent("finished", configs[index], index, 4))
    report(SweepEvent("progress", configs[2], 2, 4, stage="fit"))
    clock[0] += 5

    assert shown(report, stream) == "[3/4] knn k=5 seed 0: fit, 5 s; all runs: about 25 s left"


def test_a_run_on_the_first_samples_says_what_it_came_to_though_no_board_ranks_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["task=digits", "model=majority", "limit=50", "time=off", "threads=1", f"out={tmp_path / 'runs'}"]

    assert main(["run", *words]) == 0

    said = capsys.readouterr().out
    assert "No run can be ranked yet." in said
    assert re.search(
        r"^digits-majority-s0-\w+\n    top1 \d.*\] on the first 50 samples; not ranked\n", said, re.MULTILINE
    )


def test_what_speaks_against_a_run_is_said_when_it_ends():
    (config,) = plan(["task=digits", "model=knn"]).configs
    failed = {"batch_invariant": CheckInfo(passed=False, detail="81.0 % of decisions equal")}
    record = make_record("knn", checks=failed, fit=FitInfo(seconds=1.0, cached=True), stage_seconds={"fit": 3.0})
    stream = io.StringIO()

    with Reporter(stream=stream) as report:
        report(SweepEvent("finished", config, 0, 1, record=record))

    said = "ok in 3 s; check failed: batch_invariant, so no board ranks it\n"
    assert stream.getvalue() == f"[1/1] knn seed 0: {said}"


@pytest.mark.parametrize(
    ("stages", "waited", "said"),
    [
        ({"resolve": 4.0, "predict": 6.0}, 5.0, "; 9 s of it were files: 4 s to list and check, 5 s to read them"),
        ({"resolve": 1.0, "predict": 9.0}, 3.0, ""),
        ({"resolve": 2.0, "predict": 2.0}, 2.0, ""),
        ({"predict": 9.0}, None, ""),
    ],
)
def test_where_the_time_went_is_said_when_it_went_into_files(stages: dict[str, float], waited: float | None, said: str):
    (config,) = plan(["task=digits", "model=knn"]).configs
    record = make_record("knn", stage_seconds=stages, waited_seconds=waited)
    stream = io.StringIO()

    with Reporter(stream=stream) as report:
        report(SweepEvent("finished", config, 0, 1, record=record))

    assert stream.getvalue() == f"[1/1] knn seed 0: ok in {sum(stages.values()):.0f} s{said}\n"


def test_the_json_of_a_run_holds_its_failed_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["task=digits", "model=majority", "time=off", "threads=1", f"out={tmp_path}", "--json"]
    assert main(["run", *words]) == 0
    store = Store(tmp_path)
    ((record, _),), _ = store.records()
    store.replace_raw({**record.model_dump(), "checks": {"deterministic": {"passed": False, "detail": "no"}}})
    capsys.readouterr()

    assert main(["run", *words]) == 0

    (stored,) = json.loads(capsys.readouterr().out)
    assert stored["checks"] == {"deterministic": {"passed": False, "detail": "no"}}
