"""A data set whose own code goes wrong while it is read: one line, exit 1 or 2, nothing stored."""

from __future__ import annotations

import json
import signal
import time

import psutil
import pytest
from support.faults import FAULTY, assert_clean, await_none, patience, run_cli, start_cli

from mlcvbench.records.store import Store


@pytest.mark.parametrize(
    ("deed", "code", "line"),
    [
        ("raise", 1, r"error: reading data set 'thirty' failed: ValueError: thirty is not enough$"),
        ("abort", 2, r"error: reading data set 'thirty' ended the reader \(exit code -6\)"),
        ("exit", 2, r"error: reading data set 'thirty' ended the reader \(exit code 1\): no thirty today$"),
    ],
)
def test_a_data_set_that_fails_is_one_line(tmp_path, deed, code, line):
    result = run_cli(["run", *FAULTY, f"data.fail={deed}", f"out={tmp_path / 'runs'}"])

    assert_clean(result, code, line)
    assert Store(tmp_path / "runs").records()[0] == []


def started_for(pid):
    """Return the live processes that a reader that hangs has started for the command `pid`, and the reader itself."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        reads = "mlcvbench.loading.description_child" in words and str(pid) in words
        if process.info["status"] != psutil.STATUS_ZOMBIE and (reads or f"started-for-{pid}" in words):
            found.append(process)
    return found


def test_a_data_set_that_hangs_is_ended_with_all_it_started_after_the_timeout(tmp_path):
    limit = patience()
    process = start_cli(["run", *FAULTY, "data.fail=hang", f"timeout={limit:g}", f"out={tmp_path / 'runs'}"])

    _, err = process.communicate(timeout=limit + 20)

    assert err.decode() == (
        f"mlcvbench: error: reading data set 'thirty' took longer than the limit of {limit:g} s; "
        "give it more with timeout=SECONDS.\n"
    )
    assert process.returncode == 2
    assert await_none(lambda: started_for(process.pid)) == []


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_while_data_are_read_ends_the_reader_and_all_it_started_quietly(tmp_path, name):
    number = signal.Signals[name]
    process = start_cli(["run", *FAULTY, "data.fail=hang", f"out={tmp_path / 'runs'}"])
    assert await_some(lambda: started_for(process.pid), 3)

    process.send_signal(number)
    out, err = process.communicate(timeout=20)

    assert (process.returncode, out) == (128 + number, b"")
    assert err.decode() == "0 finished, 1 left; the same command resumes\n"
    assert await_none(lambda: started_for(process.pid)) == []


def await_some(find, count, seconds=30.0):
    """Wait until `find` finds so many."""
    deadline = time.monotonic() + seconds
    while len(find()) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return len(find()) == count


def test_a_data_set_that_prints_neither_spoils_its_description_nor_the_results(tmp_path):
    result = run_cli(["run", *FAULTY, "data.fail=noise", "--json", f"out={tmp_path / 'runs'}"])

    assert result.code == 0, result.err
    assert [record["status"] for record in json.loads(result.out)] == ["ok"]
