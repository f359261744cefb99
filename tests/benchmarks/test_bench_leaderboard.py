"""`leaderboard build` of 10,000 records. Target: tables under 3 s, cold, the whole process."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.records import make_record, write_runs

pytestmark = pytest.mark.slow

BOARDS, MODELS, SEEDS = 10, 333, 3


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 9,990 runs with replicates: 10 boards of 333 rows, three seeds a row."""
    rng = np.random.default_rng(0)
    records = []
    for board in range(BOARDS):
        for model in range(MODELS):
            value, p50 = 0.5 + 0.45 * rng.random(), 10 ** rng.uniform(-4, -1)
            for seed in range(SEEDS):
                moved = min(0.999, value + 0.002 * rng.standard_normal())
                records.append(make_record(f"m{model}", moved, seed=seed, p50=p50, definition=f"board{board}"))
    return write_runs(tmp_path_factory.mktemp("many"), records, shared=0.5)


def build(runs: Path, out: Path) -> float:
    """Build the tables in a fresh process and return its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = ["leaderboard", "build", f"runs={runs}", f"out={out}", "site=off"]
    subprocess.run([sys.executable, "-m", "mlcvbench", *words], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_tables_of_10000_records(benchmark, runs, tmp_path):
    cpu = []

    def once():
        cpu.append(build(runs, tmp_path / "out"))

    benchmark.pedantic(once, rounds=3)

    start = time.process_time()
    for path in runs.iterdir():
        (path / "record.json").read_bytes()
        (path / "replicates.npz").read_bytes()
    benchmark.extra_info |= {
        "cpu_seconds": min(cpu),
        "cpu_seconds_of_only_reading_the_files": time.process_time() - start,
        "records": len(list(runs.iterdir())),
    }
    assert len(list((tmp_path / "out").glob("*.csv"))) == BOARDS
