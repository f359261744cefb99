"""`mlcvbench study`: the pictures and tables it leaves, and what it survives."""

from __future__ import annotations

import csv
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support import faults

from mlcvbench.cli import main


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A model that goes wrong as its setting `do` says, on data without a validation split."""
    with faults.installed_faults(monkeypatch):
        yield


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def study(*words: str) -> int:
    return main(["study", *words, "threads=1", "out=s.png"])


def rows() -> list[dict[str, str]]:
    with Path("s.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_capacity_curve_leaves_a_picture_and_its_numbers(capsys: pytest.CaptureFixture[str]):
    assert study("capacity", "task=digits", "model=knn", "model.k=1,25", "axis=inverse") == 0

    out = capsys.readouterr().out
    assert Path("s.png").read_bytes().startswith(b"\x89PNG")
    assert [(row["model.k"], row["train_top1"], row["validation_top1"]) for row in rows()] == [
        ("1", "1.0", "0.965"),
        ("25", "0.97125", "0.92"),
    ]
    assert out.endswith("wrote s.png and s.csv\n")
    assert re.search(r"^1 +0\.00 +3\.50 +\[1\.\d\d, 7\.\d\d\] +3\.50  best$", out, re.MULTILINE)


def test_the_same_study_gives_the_same_files():
    words = ("bias-variance", "task=digits", "model=knn", "model.k=1,25", "repeats=3")

    assert study(*words) == 0
    first = Path("s.png").read_bytes()
    assert study(*words) == 0

    assert Path("s.png").read_bytes() == first
    assert [row["bootstrap"] for row in rows()] == ["0", "1", "2"] * 2


def test_a_crash_costs_one_fit(faulty: None, capfd: pytest.CaptureFixture[str]):
    words = ("task=faults", "model=faulty", "model.do=nothing,abort,exit0,raise", "model.at=fit", "share=0.2")

    assert study("capacity", *words) == 0

    fine, crashed, left, broken = rows()
    assert (fine["train_accuracy"], fine["validation_accuracy"]) == ("1.0", "1.0")
    assert crashed["message"].startswith("the process was ended by signal 6")
    assert left["message"] == "the process ended with exit code 0."
    assert broken["message"] == "RuntimeError: the method broke"
    assert "scored on 6 samples: 20 % of train, held out" in capfd.readouterr().out


@pytest.mark.parametrize("hang", ["sleep", "stubborn", "silent"])
def test_a_hang_costs_one_fit(faulty: None, capfd: pytest.CaptureFixture[str], hang: str):
    limit = faults.patience()
    words = ("task=faults", "model=faulty", f"model.do={hang},nothing", "model.at=fit", f"timeout={limit:g}")

    assert study("capacity", *words) == 0

    hung, fine = rows()
    assert hung["message"] == f"it took longer than its limit of {limit:g} s; give it more with timeout=SECONDS."
    assert (fine["train_accuracy"], fine["validation_accuracy"]) == ("1.0", "1.0")


def test_when_every_fit_fails_there_is_one_line_and_no_file(faulty: None, capfd: pytest.CaptureFixture[str]):
    words = ("task=faults", "model=faulty", "model.do=raise,exit0", "model.at=fit")

    assert study("capacity", *words) == 1

    assert capfd.readouterr().err == "mlcvbench: error: all 2 fits failed; the first: RuntimeError: the method broke\n"
    assert not list(Path.cwd().iterdir())


def test_data_that_cannot_be_read_are_one_line(faulty: None, capfd: pytest.CaptureFixture[str]):
    words = ("task=faults", "model=faulty", "model.tag=1,2")

    assert study("capacity", *words, "data.fail=abort") == 1
    assert "all 1 fits failed; the first: the process was ended by signal 6" in capfd.readouterr().err


def test_a_share_that_has_no_effect_is_refused(capsys: pytest.CaptureFixture[str]):
    assert study("capacity", "task=digits", "model=knn", "model.k=1,2", "share=0.3") == 2
    assert capsys.readouterr().err == (
        "mlcvbench: error: share=0.3 has no effect: data set 'digits' has a validation split.\n"
    )


def test_an_interrupt_ends_the_fits_too(faulty: None, capfd: pytest.CaptureFixture[str]):
    mine = psutil.Process()
    before = set(mine.children(recursive=True))

    def interrupt() -> None:
        deadline = time.monotonic() + 30
        while not set(mine.children(recursive=True)) - before and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    code = study("capacity", "task=faults", "model=faulty", "model.do=sleep,nothing", "model.at=fit")
    thread.join()

    assert code == 130
    assert not set(mine.children(recursive=True)) - before
    assert not list(Path.cwd().iterdir())
