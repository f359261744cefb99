"""Sweeps: what is skipped, retried, waited for, and what an interrupt leaves. No child is started here."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from support.records import failed_record, make_record

from mlcvbench import hookimpl
from mlcvbench.errors import DataError, RequestError, StoreError
from mlcvbench.plan.config import Definition, RunConfig
from mlcvbench.processes.interrupts import Interrupted, catch_interrupts, deferred
from mlcvbench.records.store import Store, run_name
from mlcvbench.registry import Candidate, Registry, using
from mlcvbench.running.sweep import SweepResult, run_sweep
from mlcvbench.specs import Origin
from mlcvbench.storage import claims

DEFINITION = Definition("digits", "classification", "", "digits", "top1/single-crop@1")


def key_of(config):
    return hashlib.sha256(f"{config.model}/{config.seed}".encode()).hexdigest()


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    monkeypatch.setattr("mlcvbench.running.sweep.run_key", key_of)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


def configs(*models):
    return [RunConfig(DEFINITION, model) for model in models]


class Fake:
    """Stores an ok record for each run, or a failed one, or does what it is told to."""

    def __init__(self, failing=(), **deeds):
        self.failing, self.deeds, self.calls = set(failing), deeds, []

    def __call__(self, config, store, progress):
        self.calls.append(config.model)
        progress("fit", 0, 1)
        if config.model in self.deeds:
            self.deeds[config.model]()
        make = failed_record if config.model in self.failing else make_record
        record = make(config.model, run_key=key_of(config))
        return store.load(store.commit(store.begin(config.model), record).name)


def kinds(events):
    return [(event.kind, event.config.model) for event in events if event.kind not in {"reading", "progress"}]


def test_runs_are_carried_out_in_order_and_reported(store):
    events = []

    result = run_sweep(configs("a", "b"), store, submit=Fake(), on_event=events.append)

    assert [record.model.name for record in result.records] == ["a", "b"]
    assert (result.skipped, result.failed, result.interrupted, result.left) == ((), (), None, 0)
    assert result.exit_code == 0
    assert kinds(events) == [("started", "a"), ("finished", "a"), ("started", "b"), ("finished", "b")]
    assert [(e.kind, e.config.model) for e in events[:3]] == [("reading", "a"), ("reading", "b"), ("started", "a")]
    assert [(e.index, e.total, e.stage, e.steps) for e in events if e.kind == "progress"] == [
        (0, 2, "fit", 1),
        (1, 2, "fit", 1),
    ]


def test_the_same_request_again_does_only_what_is_missing(store):
    run_sweep(configs("a"), store, submit=Fake())
    fake, events = Fake(), []

    result = run_sweep(configs("a", "b"), store, submit=fake, on_event=events.append)

    assert fake.calls == ["b"]
    assert [record.model.name for record in result.records] == ["a", "b"]
    assert [record.model.name for record in result.skipped] == ["a"]
    assert kinds(events) == [("skipped", "a"), ("started", "b"), ("finished", "b")]


def test_a_failed_run_costs_itself_and_is_retried_by_the_next_request(store):
    result = run_sweep(configs("a", "b"), store, submit=Fake(failing="a"))
    assert [record.status for record in result.records] == ["timeout", "ok"]
    assert [record.model.name for record in result.failed] == ["a"]
    assert result.exit_code == 1

    fake = Fake()
    again = run_sweep(configs("a", "b"), store, submit=fake)

    assert fake.calls == ["a"]
    assert again.exit_code == 0
    assert store.attempts(key_of(configs("a")[0])) == [result.failed[0].run_id]


def test_equal_runs_are_done_once(store):
    fake = Fake()

    run_sweep(configs("a", "a"), store, submit=fake)

    assert fake.calls == ["a"]


def test_a_folder_that_cannot_be_written_is_refused_before_the_first_run(tmp_path):
    (tmp_path / "runs").write_text("a file")
    fake = Fake()

    with pytest.raises(StoreError, match=r"^cannot write .*: File exists\. Choose another folder\.$") as caught:
        run_sweep(configs("a"), Store(tmp_path / "runs"), submit=fake)

    assert fake.calls == []
    assert caught.value.exit_code == 2


def test_a_device_that_is_not_here_is_refused_before_anything_is_written(store, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    asked = [RunConfig(DEFINITION, "majority"), RunConfig(DEFINITION, "knn", device="cuda")]

    with pytest.raises(RequestError) as error:
        run_sweep(asked, store, submit=Fake())

    assert str(error.value) == "device=cuda: no CUDA device is available here; use device=cpu or device=auto."
    assert not store.root.exists()


def test_data_that_cannot_be_read_is_refused_before_the_first_run(store, monkeypatch):
    def refuse(config):
        raise DataError("no such data.") if config.model == "b" else None

    monkeypatch.setattr("mlcvbench.running.sweep.run_key", lambda c: refuse(c) if c.model == "b" else key_of(c))
    fake = Fake()

    with pytest.raises(DataError, match=r"^no such data\.$"):
        run_sweep(configs("a", "b"), store, submit=fake)

    assert fake.calls == []


def test_a_run_that_cannot_be_stored_ends_the_sweep_as_a_failure_and_keeps_the_others(store):
    def fill():
        raise StoreError("cannot write 'runs': No space left on device. Free some space or choose another folder.")

    with pytest.raises(StoreError, match="No space left on device") as caught:
        run_sweep(configs("a", "b", "c"), store, submit=Fake(b=fill))

    assert caught.value.exit_code == 1
    assert [record.model.name for record, _ in store.records()[0]] == ["a"]
    assert list(store.root.glob(".claim-*")) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_sweep_and_says_what_is_left(store, number, code):
    result = run_sweep(configs("a", "b", "c"), store, submit=Fake(b=lambda: os.kill(os.getpid(), number)))

    assert (result.interrupted, result.exit_code, result.left) == (number, code, 2)
    assert result.summary == "1 finished, 2 left; the same command resumes"
    assert list(store.root.glob(".claim-*")) == []


def test_a_run_whose_commit_the_signal_had_to_wait_for_counts(store):
    def submit(config, store, progress):
        with deferred():
            os.kill(os.getpid(), signal.SIGINT)
            return Fake()(config, store, progress)

    result = run_sweep(configs("a", "b"), store, submit=submit)

    assert result.summary == "1 finished, 1 left; the same command resumes"


def test_a_signal_before_the_first_run_leaves_everything(store, monkeypatch):
    monkeypatch.setattr("mlcvbench.running.sweep.run_key", lambda config: os.kill(os.getpid(), signal.SIGINT))

    assert run_sweep(configs("a", "b"), store, submit=Fake()).summary == "0 finished, 2 left; the same command resumes"


def test_handlers_are_put_back_and_ignored_signals_stay_ignored():
    before = signal.getsignal(signal.SIGTERM)
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with catch_interrupts():
            os.kill(os.getpid(), signal.SIGINT)
            inside = signal.getsignal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, previous)

    assert inside != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_signals_wait_for_the_outermost_shield():
    reached = []

    def shielded_twice():
        with catch_interrupts(), deferred():
            with deferred():
                os.kill(os.getpid(), signal.SIGTERM)
            reached.append("inner")

    with pytest.raises(Interrupted) as caught:
        shielded_twice()

    assert reached == ["inner"]
    assert caught.value.signum == signal.SIGTERM


def test_a_sweep_in_another_thread_leaves_signals_alone(store):
    results = []
    thread = threading.Thread(target=lambda: results.append(run_sweep(configs("a"), store, submit=Fake())))

    thread.start()
    thread.join()

    assert results[0].exit_code == 0


@pytest.fixture
def other_sweep(store):
    """Return a live process that has claimed run `a`."""
    store.ensure_writable()
    name = run_name("digits", "a", 0, key_of(configs("a")[0]))
    code = (
        "import sys; from pathlib import Path; from mlcvbench.storage.claims import claim\n"
        "print(claim(Path(sys.argv[1]), sys.argv[2]), flush=True); sys.stdin.readline()"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(store.root), name],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    with process:
        assert process.stdout.readline() == b"None\n"
        yield process
        process.kill()


@pytest.mark.parametrize("status", ["ok", "timeout"])
def test_what_another_sweep_is_at_comes_last_and_its_result_counts_here(store, other_sweep, monkeypatch, status):
    config = configs("a")[0]
    make = make_record if status == "ok" else failed_record

    def finish_elsewhere(seconds):
        if other_sweep.poll() is None:
            store.commit(store.begin("a"), make("a", run_key=key_of(config)))
            other_sweep.kill()
            other_sweep.wait()

    monkeypatch.setattr("mlcvbench.running.sweep.time.sleep", finish_elsewhere)
    fake, events = Fake(), []

    result = run_sweep(configs("a", "b"), store, submit=fake, on_event=events.append)

    assert fake.calls == ["b"]
    assert [record.status for record in result.records] == [status, "ok"]
    assert kinds(events)[0] == ("held", "a")
    name = run_name("digits", "a", 0, key_of(config))
    (held,) = [event for event in events if event.kind == "held"]
    assert held.message == f"{name} is being run by process {other_sweep.pid}; it comes last."


def test_what_another_sweep_gave_up_is_run_here(store, other_sweep, monkeypatch):
    monkeypatch.setattr("mlcvbench.running.sweep.time.sleep", lambda seconds: (other_sweep.kill(), other_sweep.wait()))
    fake = Fake()

    run_sweep(configs("a", "b"), store, submit=fake)

    assert fake.calls == ["b", "a"]


def test_observers_among_the_plugins_see_runs_start_advance_and_end(store):
    seen = []

    class Observer:
        @hookimpl
        def mlcvbench_run_started(self, run):
            seen.append(("started", run["model"]))

        @hookimpl
        def mlcvbench_progress(self, run, stage, done, total):
            seen.append((stage, run["model"], done, total))

        @hookimpl
        def mlcvbench_run_finished(self, record):
            seen.append(("finished", record["model"]["name"], record["status"]))

    registry = Registry([Candidate(Origin("observer", "observer", "1", "observer"), Observer)])
    with using(registry):
        run_sweep(configs("a"), store, submit=Fake())

    assert seen == [("started", "a"), ("fit", "a", 0, 1), ("finished", "a", "ok")]


def test_an_observer_that_raises_does_no_harm(store, capsys):
    class Observer:
        @hookimpl
        def mlcvbench_run_started(self, run):
            raise ValueError("not today")

    registry = Registry([Candidate(Origin("observer", "observer", "1", "observer"), Observer)])
    with using(registry):
        result = run_sweep(configs("a", "b"), store, submit=Fake())

    assert result.exit_code == 0
    assert "plugin 'observer': mlcvbench_run_started raised ValueError: not today; ignored." in capsys.readouterr().err


def test_the_claim_of_a_sweep_that_was_killed_does_not_hold(store):
    store.ensure_writable()
    name = run_name("digits", "a", 0, key_of(configs("a")[0]))
    gone = {"pid": 2**22 - 1, "started": 1, "boot": claims.boot_token()}
    (store.root / f".claim-{name}").write_text(json.dumps(gone))
    fake = Fake()

    run_sweep(configs("a"), store, submit=fake)

    assert fake.calls == ["a"]


def test_seeds_are_different_runs(store):
    fake = Fake()
    config = configs("a")[0]

    result = run_sweep([config, replace(config, seed=1)], store, submit=fake)

    assert fake.calls == ["a", "a"]
    assert len(result.records) == 2


def test_the_summary_counts_what_has_an_end():
    assert SweepResult((), (), (), signal.SIGTERM, 3).summary == "0 finished, 3 left; the same command resumes"
