"""Candidates of a search that die, hang, eat memory or raise: each costs itself, and the best of the others wins."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support.faults import FAULTY, await_none, faulty, patience, problems_of, processes_of, run_cli, start_cli

from mlcvbench.records.store import Store
from mlcvbench.running.launch import submit_child
from mlcvbench.storage import cache

pytestmark = pytest.mark.usefixtures("plugin")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Keep fits and outcomes to one test."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))


def search(store, *settings):
    """Return the record of one search of the faulty method, and assert that nothing is left of it."""
    record = submit_child(faulty("select=grid", *settings), store)

    assert problems_of(store.root) == []
    assert await_none(lambda: processes_of(store.root)) == []
    assert cache.entries("searches") == []
    return record


def outcomes(record):
    """Return the status and the message of every trial by what it did."""
    return {trial.settings["model.do"]: (trial.status, trial.message) for trial in record.selection.trials}


def share_of(message):
    """Return the seconds that a candidate which took too long is said to have had."""
    late = r"it took longer than its share of (\d+) s of the run's time; give it more with timeout=SECONDS\."
    return int(re.fullmatch(late, message)[1])


def test_every_way_to_end_a_process_costs_one_candidate(store):
    record = search(
        store, "faulty.at=fit", "faulty.do=segfault,exit0,raise,nothing,kill,sysexit,abort,exec,memoryerror"
    )

    assert record.status == "ok", record.error
    assert outcomes(record) == {
        "segfault": ("error", "the process crashed with SIGSEGV."),
        "exit0": ("error", "the process ended with exit code 0 and without a result."),
        "raise": ("error", "RuntimeError: the method broke"),
        "nothing": ("ok", ""),
        "kill": ("killed", "the process was ended by SIGKILL."),
        "sysexit": ("error", "SystemExit: 3"),
        "abort": ("error", "the process crashed with SIGABRT."),
        "exec": ("error", "the process ended with exit code 0 and without a result."),
        "memoryerror": ("oom", "MemoryError: no more"),
    }
    assert (record.selection.winner, record.model.params["do"]) == (3, "nothing")
    assert record.metrics["accuracy"].value == 1.0
    assert record.selection.seconds > 0


@pytest.mark.parametrize("deed", ["sleep", "stubborn"])
def test_a_candidate_that_hangs_costs_its_share_of_the_time(store, deed):
    limit = 4 * patience()
    begin = time.monotonic()

    record = search(store, f"faulty.do={deed},nothing", f"timeout={limit}")

    assert record.status == "ok", record.error
    status, message = outcomes(record)[deed]
    assert status == "timeout"
    assert limit / 6 < share_of(message) <= limit / 3  # of two candidates and the winner's fit, less the start
    assert record.model.params["do"] == "nothing"
    assert time.monotonic() - begin < limit


def test_a_candidate_beyond_the_memory_limit_costs_itself(store):
    record = search(store, "faulty.at=fit", "faulty.do=leak,nothing", "memory=500", "timeout=60")

    assert record.status == "ok", record.error
    status, message = outcomes(record)["leak"]
    assert status == "oom"
    assert message.endswith("its limit is 500 MB; give it more with memory=MB.")


def test_a_crash_while_predicting_costs_one_candidate_too(store):
    record = search(store, "faulty.do=nothing,segfault")

    assert outcomes(record)["segfault"] == ("error", "the process crashed with SIGSEGV.")
    assert record.metrics["accuracy"].value == 1.0


def test_when_all_candidates_fail_the_run_does_with_one_line(store):
    record = search(store, "faulty.at=fit", "faulty.do=segfault,raise,exit0")

    assert (record.status, record.selection, record.error.stage) == ("error", None, "select")
    assert record.error.message == "all 3 candidates failed; the first: the process crashed with SIGSEGV."


def test_candidates_that_all_hang_end_within_the_run_s_time(store):
    limit = 3 * patience()
    begin = time.monotonic()

    record = submit_child(faulty("select=grid", "faulty.do=sleep,busy", f"timeout={limit}"), store)

    assert record.error.stage in {"select", "resolve"}  # the latter where the machine was too busy to say it in time
    if record.status == "timeout":
        what = f"the run took longer than its limit of {limit:g} s"
        assert record.error.message == f"{what}; give it more with timeout=SECONDS."
    else:
        all_failed, first = record.error.message.split("; the first: ")
        assert (record.status, all_failed) == ("error", "all 2 candidates failed")
        assert 0 < share_of(first) <= limit / 3
    assert time.monotonic() - begin < limit + 2 + limit / 3
    assert await_none(lambda: processes_of(store.root)) == []


def test_a_crash_after_the_search_is_the_run_s_own_and_its_score_stands(store):
    record = search(store, "faulty.at=operations", "faulty.do=segfault,abort")

    assert record.status == "ok"
    assert record.selection.winner == 0
    assert record.operations.reason == "it could not be measured: the process crashed with SIGSEGV"


def test_crashes_change_nothing_for_the_others(store, tmp_path):
    whole = search(store, "faulty.do=nothing", "faulty.tag=1,2")
    other = Store(tmp_path / "other")

    with_crash = search(other, "faulty.at=fit", "faulty.do=segfault,nothing", "faulty.tag=1,2")

    values = [trial.value for trial in with_crash.selection.trials if trial.status == "ok"]
    assert values == [trial.value for trial in whole.selection.trials]
    assert with_crash.metrics == whole.metrics
    assert with_crash.selection.trials[with_crash.selection.winner].settings["model.tag"] == 1


def test_ctrl_c_in_a_candidate_leaves_what_is_known_and_the_same_command_goes_on(tmp_path):
    root = tmp_path / "runs"
    request = [
        "run",
        *FAULTY,
        "select=grid",
        "faulty.do=segfault,nothing,sleep",
        f"timeout={4 * patience()}",
        f"out={root}",
    ]
    process = start_cli(request, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 40
    while len(known(tmp_path)) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    kept = {path.name: path.stat().st_mtime_ns for path in known(tmp_path)}

    assert (process.returncode, sorted(kept)) == (130, ["0.json", "1.json"]), err
    assert b"the same command resumes" in err
    again = start_cli(request, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while again.poll() is None:
        now = {path.name: path.stat().st_mtime_ns for path in known(tmp_path) if path.name in kept}
        assert now in (kept, {})
        time.sleep(0.02)

    assert again.returncode == 0
    ((record, _),) = Store(root).records()[0]
    assert [trial.status for trial in record.selection.trials] == ["error", "ok", "timeout"]
    assert known(tmp_path) == []


def known(root: Path) -> list[Path]:
    """Return the files with what is known of the candidates of the searches under way."""
    try:
        return sorted((root / "cache" / "searches").glob("*/[0-9]*.json"))
    except FileNotFoundError:  # a folder of work in progress went while it was looked into
        return []


def test_the_command_line_says_it_in_one_line(tmp_path):
    words = ["select=grid", "faulty.at=fit", f"out={tmp_path / 'runs'}"]

    result = run_cli(["run", *FAULTY, *words, "faulty.do=segfault,abort"])
    partly = run_cli(["run", *FAULTY, *words, "faulty.do=segfault,nothing"])

    assert result.code == 1
    assert "Traceback" not in result.err
    assert "error, select: all 2 candidates failed; the first: the process crashed with SIGSEGV." in result.err
    assert re.search(
        r": ok in \d+ s; chose model.do=nothing of 2 candidates; 1 of 2 candidates failed; see `mlcvbench show`\n",
        partly.err,
    ), partly.err
    assert partly.code == 0
    assert known(tmp_path) == []
