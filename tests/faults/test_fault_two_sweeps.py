"""Row 13 of the campaign: two sweeps, or eight processes, on one folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import orjson
from support import tiny_sweep
from support.faults import FAULTY, problems_of, start_cli

import mlcvbench
from mlcvbench.records.store import Store, name_of


def test_two_sweeps_on_one_folder_do_every_run_once(tmp_path):
    root = tmp_path / "runs"
    both = [start_cli(["run", *FAULTY, f"faulty.tag={tags}", f"out={root}"]) for tags in ("0,1,2", "2,1,0")]

    errors = [process.communicate(timeout=120)[1].decode() for process in both]

    assert [process.returncode for process in both] == [0, 0], errors
    assert len(re.findall(r": ok in ", "".join(errors))) == 3
    assert len(re.findall(r": already stored", "".join(errors))) == 3
    records, problems = Store(root).records()
    assert ([record.status for record, _ in records], problems) == (["ok"] * 3, [])
    assert problems_of(root) == []


def test_of_eight_processes_that_store_the_same_runs_each_run_is_stored_once(tmp_path):
    root = tmp_path / "runs"
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "import tiny_sweep as tiny; from mlcvbench.records.store import Store\n"
        "store = Store(Path(sys.argv[2])); sys.stdin.readline()\n"
        "for number in range(10):\n"
        "    pending = store.begin(f'r{number}'); tiny.write_artifacts(pending.folder, number)\n"
        "    print(store.commit_raw(pending, tiny.record_of(number)).name)\n"
    )
    packages = os.pathsep.join(str(Path(module.__file__).parents[1]) for module in (mlcvbench, orjson))
    racers = [
        subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", code, str(Path(tiny_sweep.__file__).parent), str(root)],
            env={**os.environ, "TINY_PATH": packages},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(8)
    ]
    for racer in racers:
        racer.stdin.write(b"go\n")
        racer.stdin.flush()
    said = [racer.communicate()[0].decode().split() for racer in racers]

    names = [name_of(tiny_sweep.record_of(number)) for number in range(10)]
    assert said == [names] * 8
    assert sorted(path.name for path in root.iterdir()) == sorted(names)
    assert problems_of(root) == []
