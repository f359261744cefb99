"""What a run's line on the terminal says."""

import io
import re
from pathlib import Path

import pytest

from mlcvbench.cli import main
from mlcvbench.cli.progress import Reporter
from mlcvbench.overrides import plan
from mlcvbench.sweep import SweepEvent

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
