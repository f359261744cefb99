"""`mlcvbench show`: a failed run says where its traceback is, and shows it on request."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.records import make_record

from mlcvbench.cli import main
from mlcvbench.records.schema import ErrorInfo, Record
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


def test_a_run_without_a_traceback_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = stored(tmp_path, make_record())

    assert main(["show", folder, "--traceback"]) == 2
    assert capsys.readouterr().err == (
        f"mlcvbench: error: run {Path(folder).name!r} ended with status ok and has no traceback.\n"
    )
