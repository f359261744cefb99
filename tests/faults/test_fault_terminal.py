"""Row 15 of the campaign: nowhere to print, no home, no locale, hardly a terminal."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from support.faults import FAULTY, assert_clean, environment, run_cli, start_cli

from mlcvbench.records.store import Store


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a folder in which the run is stored, so that the same command only prints."""
    folder = tmp_path_factory.mktemp("terminal") / "runs"
    result = run_cli(["run", *FAULTY, f"out={folder}"])
    assert result.code == 0, result.err
    return folder


def request(root):
    return ["run", *FAULTY, f"out={root}"]


def test_a_full_standard_output_is_one_line_and_the_run_is_kept(root, tmp_path):
    shutil.copytree(root, tmp_path / "runs")
    with Path("/dev/full").open("wb") as full:
        result = run_cli(request(tmp_path / "runs"), stdout=full)

    assert_clean(result, 1, r"No space left on device")
    assert len(Store(tmp_path / "runs").records()[0]) == 1


def test_a_reader_that_goes_away_ends_the_command_quietly(root):
    with start_cli(request(root), stdout=subprocess.PIPE) as process:
        process.stdout.close()
        err = process.stderr.read()

    assert process.returncode in {0, 141}
    assert b"Traceback" not in err


def test_a_full_standard_error_does_not_stop_a_run(tmp_path):
    with Path("/dev/full").open("wb") as full:
        result = run_cli(request(tmp_path / "runs"), stderr=full)

    assert result.code == 0, result.out
    assert len(Store(tmp_path / "runs").records()[0]) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"COLUMNS": "20"},
        {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": None},
        {"PYTHONIOENCODING": "ascii"},
        {"TERM": "dumb", "NO_COLOR": "1"},
        {"HOME": None},
        {"HOME": "/dev/null", "MLCVBENCH_CACHE": None, "XDG_CACHE_HOME": None},
    ],
    ids="-".join,
)
def test_a_poor_environment_does_not_matter(root, changes):
    result = run_cli(request(root), env=environment(**changes))

    assert result.code == 0, result.err
    assert "Traceback" not in result.err
    assert "faulty" in result.out
