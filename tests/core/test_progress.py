"""What a run's line on the terminal says."""

from pathlib import Path

import pytest

from mlcvbench.cli import main

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
