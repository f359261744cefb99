"""`leaderboard retract`: a row with a date and a reason, never a deletion, and undone to the byte."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.records import failed_record, make_record, write_run

from mlcvbench.cli import main
from mlcvbench.leaderboard.build import read_boards
from mlcvbench.leaderboard.tables.terminal import render_terminal
from mlcvbench.records.canonical import read_record, to_json


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path, make_record("cnn", 0.95))
    folder = write_run(tmp_path, make_record("knn", 0.99))
    (folder / "record.json").write_bytes(to_json(read_record(folder)))
    return folder


def retract(*words: object) -> int:
    return main(["leaderboard", "retract", *map(str, words)])


def refusal(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Return what a refused command says, which changes nothing."""
    assert retract(*words) == 2
    return capsys.readouterr().err


def test_a_retracted_run_is_a_row_with_its_date_and_reason(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert retract(run, "reason=wrong labels, as A=B showed") == 0

    today = datetime.now(UTC).date().isoformat()
    said = f"retracted on {today}: wrong labels, as A=B showed"
    assert capsys.readouterr().out == (
        f"{run.name}: {said}\nboards show it once they are built again: mlcvbench leaderboard build\n"
    )
    (board,), _ = read_boards(run.parent)
    assert [row.model for row in board.rows] == ["cnn"]
    assert [(item.reason, item.state) for item in board.unranked] == [(said, "retracted")]
    assert re.search(rf"knn seed 0, top1 99\.00 %: retracted on {today}:", render_terminal(board))


def test_show_says_that_a_run_is_retracted(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    retract(run, "reason=wrong labels")
    capsys.readouterr()

    assert main(["show", str(run)]) == 0

    assert re.search(r"^retracted\n  \d{4}-\d\d-\d\d +wrong labels$", capsys.readouterr().out, re.MULTILINE)


def test_undoing_it_gives_the_record_of_before_to_the_byte(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "record.json").read_bytes()
    retract(run, "reason=wrong labels")

    assert retract(run, "undo=on") == 0

    assert (run / "record.json").read_bytes() == before
    assert f"{run.name}: no longer retracted\n" in capsys.readouterr().out


def test_a_run_is_found_by_its_name_in_runs(run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    run.parent.joinpath(run.name).rename(tmp_path / "here" / run.name)
    (tmp_path / "here").rename(tmp_path / "runs")
    monkeypatch.chdir(tmp_path)

    assert retract(run.name[:12], "reason=wrong labels") == 0


def test_what_cannot_be_retracted_is_refused_and_changes_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "record.json").read_bytes()
    failed = write_run(run.parent, failed_record())

    needs = "mlcvbench: error: leaderboard retract needs either reason=TEXT, why the run is retracted, or undo=on.\n"
    assert refusal(capsys, run) == needs
    assert refusal(capsys, run, "reason=x", "undo=on") == needs
    assert refusal(capsys, run, "undo=on") == (
        f"mlcvbench: error: run {run.name!r} is not retracted, so there is nothing to undo.\n"
    )
    assert refusal(capsys, run, "reason=a\nb") == (
        "mlcvbench: error: reason='a\\nb': wanted one line of text, got 'a\\nb'.\n"
    )
    assert refusal(capsys, failed, "reason=x") == (
        f"mlcvbench: error: run {failed.name!r} has status 'timeout': no board ranks it, nor could it.\n"
    )
    assert refusal(capsys, run, "because=x").startswith("mlcvbench: error: unknown key 'because'.")
    assert (run / "record.json").read_bytes() == before


def test_a_second_reason_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    retract(run, "reason=wrong labels")
    date = read_record(run).retraction.date

    assert refusal(capsys, run, "reason=more") == (
        f"mlcvbench: error: run {run.name!r} was retracted on {date} (wrong labels); say undo=on first to give another "
        "reason.\n"
    )
