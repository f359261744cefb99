"""`mlcvbench show`: a failed run says where its traceback is, and shows it on request."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.records import make_record

from mlcvbench.cli import main
from mlcvbench.records.schema import PREDICTIONS, ErrorInfo, NoticeInfo, Record
from mlcvbench.records.store import Store


def stored(root: Path, record: Record) -> str:
    store = Store(root)
    return str(store.commit(store.begin(record.run_id), record))


@pytest.fixture
def failed(tmp_path: Path) -> str:
    """The folder of a run that failed with a traceback."""
    error = ErrorInfo(stage="fit", type="ValueError", message="no such kernel", traceback="Traceback:\n  in fit\n")
    return stored(tmp_path, make_record(status="error", error=error))


def test_a_failed_run_says_how_to_see_its_traceback(failed: str, capsys: pytest.CaptureFixture[str]):
    assert main(["show", failed]) == 0
    assert capsys.readouterr().out.endswith(f"\n\ntraceback: mlcvbench show {failed} --traceback\n")


def test_the_traceback_is_shown_on_request(failed: str, capsys: pytest.CaptureFixture[str]):
    assert main(["show", failed, "--traceback"]) == 0
    assert capsys.readouterr().out.endswith("\n\nTraceback:\n  in fit\n")


def test_of_predictions_alone_it_is_said_once_that_nothing_else_is_known(tmp_path: Path, capsys):
    handed_in = make_record("my_net", artifacts={})
    info = handed_in.model.model_copy(update={"plugin": PREDICTIONS, "plugin_version": "", "title": "My net (v2)"})
    folder = stored(tmp_path, handed_in.model_copy(update={"model": info}))

    assert main(["show", folder]) == 0
    assert f"  {'model':<24}My net (v2), my_net (predictions)\n" in capsys.readouterr().out


@pytest.mark.parametrize("letters", [23, 24, 30])
def test_a_long_name_is_not_glued_to_its_text(tmp_path: Path, capsys: pytest.CaptureFixture[str], letters: int):
    code = "x" * letters
    folder = stored(tmp_path, make_record(notices=(NoticeInfo(code=code, text="said of it."),)))

    assert main(["show", folder]) == 0
    between = " " if letters == 23 else "\n" + " " * 26
    assert f"\nnotices\n  {code}{between}said of it.\n" in capsys.readouterr().out


def test_a_run_without_a_traceback_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = stored(tmp_path, make_record())

    assert main(["show", folder, "--traceback"]) == 2
    assert capsys.readouterr().err == (
        f"mlcvbench: error: run {Path(folder).name!r} ended with status ok and has no traceback.\n"
    )
