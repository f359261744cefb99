"""Row 1 of the campaign: kill, fill or break the disk at the n-th system call of a write, for every n.

The state afterwards is the one before or the one after, never one between. The default suite takes every write, fsync
and rename and every few opens and closes; with `-m campaign` it is every one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
from support import tiny_sweep
from support.faults import need_strace, problems_of

import mlcvbench
from mlcvbench.records.store import Store, name_of
from mlcvbench.storage import cache

SCRIPT = Path(tiny_sweep.__file__)
CALLS = ("write", "fsync", "rename", "openat", "close")
FAULTS = {"kill": "signal=SIGKILL", "full": "error=ENOSPC", "broken": "error=EIO"}
FATAL = 1000
"""The call of each fork that strace breaks: more than the script makes before it forks."""
SAMPLED = {"openat": 4, "close": 5}
"""In the default suite every so-many-th call of these kinds; their faults look alike."""
EXTENTS = ("some", pytest.param("all", marks=pytest.mark.campaign))
NAME = name_of(tiny_sweep.record_of(0))


def trace(what: str, base: Path, call: str, numbers: Sequence[int], *options: str) -> dict[int, int]:
    """Run the work under strace in one fork a number; return the forks' exit codes."""
    packages = [str(Path(module.__file__).parents[1]) for module in (mlcvbench, orjson)]
    script = [sys.executable, "-S", "-E", str(SCRIPT), "break", what, str(base), call, str(FATAL)]
    done = subprocess.run(
        [need_strace(), "-qq", "-f", *options, *script, ",".join(map(str, numbers))],
        env={**os.environ, "TINY_PATH": os.pathsep.join(packages)},
        capture_output=True,
        text=True,
        check=True,
    )
    return {int(number): code for number, code in orjson.loads(done.stdout).items()}


def count_calls(what: str, base: Path) -> dict[str, int]:
    """Return how many calls of each kind one untouched pass makes."""
    trace(what, base, "rename", [FATAL], "-o", str(base / "log"), "-e", f"trace=getppid,{','.join(CALLS)}")
    _, work, _ = (base / "log").read_text().split("getppid(")
    return {call: work.count(f" {call}(") for call in CALLS}


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """Return the calls of a record write and of a cache write without faults."""
    return {what: count_calls(what, tmp_path_factory.mktemp(what)) for what in ("record", "cache")}


def numbers(call, count, extent):
    """Return which calls to break, counted from 1."""
    return range(1, count + 1, 1 if extent == "all" else SAMPLED.get(call, 1))


def broken(what, base, call, fault, wanted):
    """Break each of the `wanted` calls in turn; yield its place and what was printed, after the common checks."""
    inject = f"inject={call}:{FAULTS[fault]}:when={FATAL}"
    codes = trace(what, base, call, wanted, "-o", os.devnull, "-e", f"trace={call}", "-e", inject)
    assert fault == "kill" or call in SAMPLED or 2 in codes.values()
    for number, code in codes.items():
        out, err = ((base / f"{call}-{number}.{name}").read_text() for name in ("out", "err"))

        assert code in ((-9,) if fault == "kill" else (0, 2)), (call, number, code, err)
        assert len(err.splitlines()) == (1 if code == 2 else 0), err
        yield base / f"{call}-{number}", out


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("extent", EXTENTS)
def test_a_fault_at_any_call_of_a_record_write_leaves_it_whole_or_absent(tmp_path, calls, extent, call, fault):
    for root, out in broken("record", tmp_path, call, fault, numbers(call, calls["record"][call], extent)):
        assert problems_of(root) == []
        assert (root / NAME).is_dir() or NAME not in out.split()
        assert_resumes(root)


def assert_resumes(root):
    """Assert that the same sweep again completes, and leaves nothing but the run."""
    tiny_sweep.sweep(root, 0, 0)

    assert problems_of(root) == []
    assert sorted(path.name for path in root.iterdir()) == [".lock", NAME]
    assert sorted(Store(root).load(NAME).artifacts) == ["plots/a.png", "predictions.npz", "rows.parquet"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("extent", EXTENTS)
def test_a_fault_at_any_call_of_a_cache_write_leaves_the_entry_whole_or_absent(
    tmp_path, monkeypatch, calls, extent, fault
):
    for call in CALLS:
        for place, _ in broken("cache", tmp_path, call, fault, numbers(call, calls["cache"][call], extent)):
            monkeypatch.setenv("MLCVBENCH_CACHE", str(place))
            entry = cache.get("fits", "key")
            assert entry is None or (entry / "weights").read_bytes() == b"w" * 50_000
            tiny_sweep.fill_cache()
            assert [path.name for path in (place / "fits").iterdir()] == ["key"]


def test_every_call_is_tried_in_the_campaign(calls):
    """The campaign has something to break: a record is hashed, synced, renamed, and its parent synced."""
    assert calls["record"]["fsync"] >= 8
    assert calls["record"]["rename"] >= 2
    assert calls["record"]["write"] >= 6
    assert calls["cache"]["fsync"] >= 3
