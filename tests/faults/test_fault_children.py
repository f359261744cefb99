"""Rows 3, 7, 8, 9, 10 and 11 of the campaign: a method that dies, hangs, eats memory, misbehaves or answers nonsense.

Each costs its own run: a record says what happened, and nothing it started is left.
"""

from __future__ import annotations

import re
import time

import pytest
from support.faults import await_none, faulty, patience, problems_of, processes_of

from mlcvbench.limits import MAX_LOG_HALF
from mlcvbench.running.launch import submit_child
from mlcvbench.running.sweep import run_sweep

pytestmark = pytest.mark.usefixtures("plugin")


def carry_out(store, *settings):
    """Return the record of one faulty run, its folder, and assert that the store is whole."""
    record = submit_child(faulty(*settings), store)

    assert problems_of(store.root) == []
    assert [path for path in store.root.iterdir() if path.name.startswith(".tmp")] == []
    return record, store.root / record.run_id


@pytest.mark.parametrize(
    ("deed", "status", "signal", "message"),
    [
        ("raise", "error", None, "the method broke"),
        ("sysexit", "error", None, "3"),
        ("segfault", "error", "SIGSEGV", "the process crashed with SIGSEGV."),
        ("abort", "error", "SIGABRT", "the process crashed with SIGABRT."),
        ("overflow", "error", "SIGSEGV", "the process crashed with SIGSEGV."),
        ("kill", "killed", "SIGKILL", "the process was ended by SIGKILL."),
        ("exit0", "error", None, "the process ended with exit code 0 and without a result."),
        ("exec", "error", None, "the process ended with exit code 0 and without a result."),
    ],
)
def test_a_method_that_ends_its_process_is_recorded_with_stage_and_signal(store, deed, status, signal, message):
    record, folder = carry_out(store, f"faulty.do={deed}")

    assert (record.status, record.error.stage, record.error.signal) == (status, "predict", signal)
    assert record.error.message == message
    assert sorted(path.name for path in folder.iterdir()) == ["log.txt", "record.json"]
    assert folder.name.endswith(".e1")


STOOD = ["log.txt", "predictions.npz", "record.json", "rows.parquet"]
MEASURED = "The run ended while it measured (operations): {} Its score stands; what was not measured is null."


@pytest.mark.parametrize(
    ("deed", "message"),
    [
        ("segfault", "the process crashed with SIGSEGV."),
        ("abort", "the process crashed with SIGABRT."),
        ("exit0", "the process ended with exit code 0 and without a result."),
    ],
)
def test_a_process_that_ends_while_it_is_measured_leaves_its_score(store, deed, message):
    whole, _ = carry_out(store, "faulty.do=nothing")

    record, folder = carry_out(store, f"faulty.do={deed}", "faulty.at=operations")

    assert (record.status, record.error) == ("ok", None)
    assert record.metrics == whole.metrics
    assert record.operations.reason == f"it could not be measured: {message.rstrip('.')}"
    assert [(notice.code, notice.text) for notice in record.notices] == [
        ("measuring-ended-early", MEASURED.format(message))
    ]
    assert sorted(path.name for path in folder.iterdir()) == STOOD


def test_a_method_that_hangs_while_it_is_measured_leaves_its_score(store):
    limit = patience()

    record, folder = carry_out(store, "faulty.do=sleep", "faulty.at=operations", f"timeout={limit}")

    why = f"the run took longer than its limit of {limit:g} s; give it more with timeout=SECONDS"
    assert record.status == "ok"
    assert record.operations.reason == f"it could not be measured: {why}"
    assert record.memory.reason is None
    assert sorted(path.name for path in folder.iterdir()) == STOOD


@pytest.mark.parametrize("deed", ["raise", "sysexit", "memoryerror"])
def test_a_method_that_raises_while_it_is_measured_costs_that_number(store, deed):
    record, _ = carry_out(store, f"faulty.do={deed}", "faulty.at=operations")

    assert record.status == "ok"
    assert record.operations.macs is None
    assert record.operations.reason.startswith(("it could not be measured", "it does not run while operations"))
    assert record.notices == ()


def test_who_has_a_run_killed_while_it_is_measured_wants_none_of_it(store):
    record, folder = carry_out(store, "faulty.do=kill", "faulty.at=operations")

    assert (record.status, record.error.stage) == ("killed", "operations")
    assert sorted(path.name for path in folder.iterdir()) == ["log.txt", "record.json"]


@pytest.mark.parametrize(
    ("deed", "status"), [("raise", "error"), ("segfault", "error"), ("kill", "killed"), ("sleep", "timeout")]
)
def test_a_fit_that_is_ended_leaves_what_it_reported(store, deed, status):
    limit = [f"timeout={patience()}"] if deed == "sleep" else []

    record, _ = carry_out(store, f"faulty.do={deed}", "faulty.at=fit", *limit)

    assert (record.status, record.error.stage) == (status, "fit")
    assert record.fit.history == {"loss": [0.5, 0.25]}


def test_a_crash_leaves_the_place_of_the_crash_in_the_record(store):
    record, _ = carry_out(store, "faulty.do=segfault", "faulty.at=fit")

    assert record.error.stage == "fit"
    assert "Fatal Python error: Segmentation fault" in record.error.traceback
    assert "in fit" in record.error.traceback


def test_one_crash_never_costs_another_run(store):
    configs = [faulty(f"faulty.do={deed}") for deed in ("segfault", "nothing", "exit0")]

    result = run_sweep(configs, store)

    assert [record.status for record in result.records] == ["error", "ok", "error"]
    assert result.exit_code == 1


@pytest.mark.parametrize("deed", ["sleep", "busy", "stubborn", "deadlock", "grandchild"])
def test_a_hang_is_ended_within_its_limit_and_two_seconds(store, deed):
    limit = patience()
    begin = time.monotonic()

    record, _ = carry_out(store, f"faulty.do={deed}", f"timeout={limit}")

    assert time.monotonic() - begin < limit + 2.0 + limit / 3  # what planning and storing take
    assert (record.status, record.error.stage, record.error.limit) == ("timeout", "predict", f"{limit:g} s")
    assert record.error.message == (
        f"the run took longer than its limit of {limit:g} s; give it more with timeout=SECONDS."
    )
    assert await_none(lambda: processes_of(store.root)) == []


def test_a_grandchild_in_a_session_of_its_own_is_ended_too(store):
    marker = "import time; time.sleep(3600)"
    carry_out(store, "faulty.do=grandchild", f"timeout={patience()}")

    import psutil

    def left():
        return [p for p in psutil.process_iter(["cmdline", "status"])
                if marker in (p.info["cmdline"] or []) and p.info["status"] != psutil.STATUS_ZOMBIE]  # fmt: skip

    assert await_none(left) == []


@pytest.mark.parametrize("deed", ["memoryerror", "allocate"])
def test_a_memory_error_is_recorded_as_one(store, deed):
    record, _ = carry_out(store, f"faulty.do={deed}", "memory=400")

    assert (record.status, record.error.stage, record.error.limit) == ("oom", "predict", "400 MB")
    assert record.error.peak_memory > 10 * 2**20


def test_a_leak_is_ended_at_its_limit_with_the_peak_it_reached(store):
    record, _ = carry_out(store, "faulty.do=leak", "memory=400", "timeout=40")

    assert (record.status, record.error.stage, record.error.limit) == ("oom", "predict", "400 MB")
    assert 400 * 2**20 < record.error.peak_memory < 1600 * 2**20
    assert re.fullmatch(
        r"the run used \d+ MB; its limit is 400 MB; give it more with memory=MB\.", record.error.message
    )


@pytest.mark.parametrize(
    ("deed", "message"),
    [
        ("nan", "field 'scores', sample '00001': wanted finite numbers, got nan."),
        ("inf", "field 'scores', sample '00001': wanted finite numbers, got inf."),
        ("count", "field 'scores': wanted 30 samples, got 29."),
        ("dtype", "field 'scores': wanted float32 (B, 3), got dtype <U8."),
        ("shape", "field 'scores': wanted float32 (B, 3), got shape (30, 2)."),
        ("object", "field 'scores': wanted float32 (B, 3), got dtype object."),
        ("nothing_at_all", "predictions: wanted a dict of arrays, got NoneType."),
    ],
)
def test_a_wrong_answer_is_refused_with_sample_field_got_and_wanted(store, deed, message):
    record, _ = carry_out(store, f"faulty.do={deed}")

    assert (record.status, record.error.stage, record.error.type) == ("error", "predict", "PredictionError")
    assert record.error.message == message


def test_an_answer_in_a_buffer_that_changes_later_is_scored_as_it_was_given(store):
    record, _ = carry_out(store, "faulty.do=buffer", "batch=7")

    assert record.status == "ok"
    assert record.metrics["accuracy"].value == 1.0


def test_a_huge_log_is_capped_to_its_head_and_tail(store):
    record, folder = carry_out(store, "faulty.do=noise")

    log = (folder / "log.txt").read_bytes()
    assert record.status == "ok"
    assert len(log) < 2 * MAX_LOG_HALF + 200
    assert log.startswith(b"the beginning\n")
    assert b" bytes left out ...\n" in log
    assert log.rstrip().endswith(b"the end")


@pytest.mark.parametrize("deed", ["chatter", "closed", "chdir", "warnings"])
def test_bad_manners_do_not_matter(store, monkeypatch, tmp_path, deed):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dangling").symlink_to("/nowhere")

    record, _ = carry_out(store, f"faulty.do={deed}", "faulty.at=fit")

    assert record.status == "ok", record.error
    assert record.metrics["accuracy"].value == 1.0
