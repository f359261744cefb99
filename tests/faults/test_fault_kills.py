"""Rows 2 and 3 of the campaign: kill -9 at random moments. No finished run is lost, no record broken, nothing left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import psutil
import pytest
from support import tiny_sweep
from support.faults import CLI, FAULTY, await_none, environment, problems_of, processes_of, run_cli, start_cli

import mlcvbench
from mlcvbench.records.store import Store, name_of

RUNS = 12
CAMPAIGN_RUNS = 400


def kill_tiny_sweep(root: Path, last: int, delay: float) -> list[str]:
    """Start the miniature sweep, kill it `delay` seconds after it is ready; return what it said was stored."""
    packages = [str(Path(module.__file__).parents[1]) for module in (mlcvbench, orjson)]
    process = subprocess.Popen(
        [sys.executable, "-S", "-E", tiny_sweep.__file__, "sweep", str(root), "0", str(last)],
        env={**os.environ, "TINY_PATH": os.pathsep.join(packages)},
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout.readline() == b"ready\n"
        time.sleep(delay)
        process.kill()
        return process.stdout.read().decode().split()


@pytest.mark.parametrize(
    ("kills", "last"),
    [(50, RUNS * 6), pytest.param(1000, CAMPAIGN_RUNS, marks=[pytest.mark.campaign, pytest.mark.timeout(3600)])],
)
def test_killing_a_sweep_at_random_moments_loses_nothing(tmp_path, capsys, kills, last):
    moments = random.Random(20261123)
    finished: set[str] = set()
    lost = broken = rounds = 0
    root = tmp_path / "runs0"

    for _ in range(kills):
        finished |= set(kill_tiny_sweep(root, last, moments.uniform(0.001, 0.06)))
        lost += len([name for name in finished if not (root / name / "record.json").is_file()])
        broken += len(problems_of(root))
        if len(finished) > last:
            rounds += 1
            finished, root = set(), tmp_path / f"runs{rounds}"
    left = await_none(lambda: processes_of(tmp_path))

    with capsys.disabled():
        print(f"\nkills {kills} lost {lost} broken {broken} orphans {len(left)}")
    assert (lost, broken, left) == (0, 0, [])


def test_the_sweep_after_a_kill_does_exactly_what_is_missing(tmp_path):
    root = tmp_path / "runs"
    finished = kill_tiny_sweep(root, RUNS, 0.05)
    before = {name: (root / name).stat().st_ino for name in finished}

    tiny_sweep.sweep(root, 0, RUNS)

    assert {name: (root / name).stat().st_ino for name in finished} == before
    wanted = sorted(name_of(tiny_sweep.record_of(number)) for number in range(RUNS + 1))
    assert sorted(path.name for path in root.iterdir()) == sorted([".lock", *wanted])


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killing_the_real_sweep_at_twenty_random_moments_loses_nothing(tmp_path, capsys):
    root, moments = tmp_path / "runs", random.Random(20261124)
    request = ["run", *FAULTY, f"faulty.tag={','.join(map(str, range(RUNS)))}", f"out={root}"]
    finished: dict[str, bytes] = {}
    lost = broken = 0
    whole = run_cli(["run", *FAULTY, f"out={tmp_path / 'alone'}"]).seconds  # what one run takes here and now

    for _ in range(20):
        process = start_cli(request, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.1, 1.3) * whole)
        process.kill()
        process.wait()
        stored = {p.parent.name: p.read_bytes() for p in root.glob("[!.]*/record.json")}
        lost += len([name for name, data in finished.items() if stored.get(name) != data])
        broken += len(problems_of(root))
        finished |= stored
    left = await_none(lambda: processes_of(root))

    with capsys.disabled():
        print(f"\nreal sweep: kills 20 lost {lost} broken {broken} orphans {len(left)}, {len(finished)} runs finished")
    assert (lost, broken, left) == (0, 0, [])
    assert len(finished) >= 1


def test_the_real_sweep_after_a_kill_resumes(tmp_path):
    root = tmp_path / "runs"
    request = ["run", *FAULTY, "faulty.tag=0,1", f"out={root}", "--json"]
    process = start_cli(request, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(root.glob("[!.]*/record.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()

    again = run_cli(request)

    assert again.code == 0, again.err
    assert again.err.count("already stored") >= 1
    records, problems = Store(root).records()
    assert ([record.status for record, _ in records], problems) == (["ok", "ok"], [])
    assert sorted(path.name for path in root.iterdir() if path.name.startswith(".")) == [".lock"]


def child_of(root: Path) -> psutil.Process:
    """Return the run's child once it has started."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for child in processes_of(root):
            if "mlcvbench.running.launch_child" in child.info["cmdline"]:
                return child
        time.sleep(0.02)
    raise AssertionError("the child did not start")


@pytest.mark.parametrize("victims", ["child", "parent", "both"])
def test_killing_child_or_parent_or_both_leaves_nothing_running(tmp_path, victims):
    root = tmp_path / "runs"
    process = start_cli(["run", *FAULTY, "faulty.do=stubborn", f"out={root}"])
    child = child_of(root)

    for victim in {"child": [child.pid], "parent": [process.pid], "both": [child.pid, process.pid]}[victims]:
        os.kill(victim, signal.SIGKILL)
    process.communicate(timeout=30)

    assert await_none(lambda: processes_of(root)) == []
    assert problems_of(root) == []
    if victims == "child":
        ((record, _),) = Store(root).records()[0]
        assert (record.status, record.error.signal) == ("killed", "SIGKILL")
        assert process.returncode == 1


def test_the_command_line_under_test_is_this_one():
    assert CLI[0] == sys.executable
    assert environment()["PYTHONPATH"].split(os.pathsep)[0].endswith("fault_plugin")
