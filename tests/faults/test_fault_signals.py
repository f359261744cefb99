"""Row 4 of the campaign: Ctrl-C and SIGTERM at every stage of a real sweep, and a second Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support.faults import (
    FAULTY,
    assert_clean,
    await_none,
    environment,
    need_strace,
    problems_of,
    processes_of,
    run_cli,
    start_cli,
)

from mlcvbench.limits import KILL_GRACE_SECONDS
from mlcvbench.records.store import Store

STAGES = ("started", "resolve", "fit", "predict", "score", "operations", "finished")
CODES = {"SIGINT": 130, "SIGTERM": 143}


def assert_stopped(result, root, name, finished, left):
    """Assert a quiet end with the right code and line, whole records, and nothing running or half-built."""
    assert_clean(result, CODES[name], f"^{finished} finished, {left} left; the same command resumes$")
    assert await_none(lambda: processes_of(root)) == []
    assert problems_of(root) == []
    assert [p.name for p in root.iterdir() if p.name.startswith((".tmp", ".claim"))] == []
    assert len(Store(root).records()[0]) == finished


@pytest.mark.parametrize(
    ("name", "stage"), [*(("SIGINT", stage) for stage in STAGES), ("SIGTERM", "fit"), ("SIGTERM", "finished")]
)
def test_a_signal_when_a_stage_begins_ends_the_sweep_quietly(tmp_path, name, stage):
    root = tmp_path / "runs"

    result = run_cli(["run", *FAULTY, "faulty.tag=0,1", f"out={root}"], env=environment(FAULT_SIGNAL=f"{name}:{stage}"))

    done = 1 if stage == "finished" else 0
    assert_stopped(result, root, name, done, 2 - done)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["memory", "latency", "checks"])
def test_a_signal_while_costs_are_measured_ends_the_probes_too(tmp_path, stage):
    root = tmp_path / "runs"

    result = run_cli(
        ["run", "task=faults", "time=quick", "intervals=off", f"out={root}"],
        env=environment(FAULT_SIGNAL=f"SIGINT:{stage}"),
    )

    assert_stopped(result, root, "SIGINT", 0, 1)


@pytest.mark.parametrize("name", CODES)
def test_a_signal_in_the_middle_of_a_commit_waits_for_it(tmp_path, name):
    root = tmp_path / "runs"
    sixth = ("-qq", "-f", "-o", os.devnull, "-e", "trace=fsync", "-e", f"inject=fsync:signal={name}:when=6")

    result = run_cli(["run", *FAULTY, "faulty.tag=0,1", f"out={root}"], prefix=(need_strace(), *sixth))

    assert_stopped(result, root, name, 1, 1)


def test_a_second_interrupt_does_not_wait_for_a_stubborn_method(tmp_path):
    root = tmp_path / "runs"
    process = start_cli(["run", *FAULTY, "faulty.do=stubborn", f"out={root}"], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not ignores_sigterm(root) and time.monotonic() < deadline:
        time.sleep(0.05)

    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)

    assert time.monotonic() - begin < KILL_GRACE_SECONDS
    assert process.returncode == 130, err
    assert b"Traceback" not in err
    assert await_none(lambda: processes_of(root)) == []


def ignores_sigterm(root):
    """Return whether a child of the sweep has got to where it ignores SIGTERM."""
    for process in processes_of(root):
        if "mlcvbench.running.launch_child" in process.info["cmdline"]:
            lines = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
            ignored = int(next(line for line in lines if line.startswith("SigIgn")).split()[1], 16)
            if ignored & 1 << (signal.SIGTERM - 1):
                return True
    return False
