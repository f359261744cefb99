"""What the fault campaign shares: start the real command line, break it on purpose, and look at what is left."""

from __future__ import annotations

import functools
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.paths import FIXTURES

from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.planning import plan
from mlcvbench.records.store import Damage, Store, digests_of
from mlcvbench.registry import discover, using

FAULT_PLUGIN = FIXTURES / "fault_plugin"
CLI = (sys.executable, "-c", "import sys; from mlcvbench.cli import main; sys.exit(main())")
ADDRESS_SPACE = 8 * 2**30
SECONDS = 60.0
FAULTY = ("task=faults", "time=off", "intervals=off")
"""A request for the method that goes wrong as `faulty.do` says; a run takes about a second."""


@dataclass(frozen=True)
class Result:
    """What a command left: exit code (negative: a signal), standard output and error, seconds."""

    code: int
    out: str
    err: str
    seconds: float


def python_path() -> str:
    """Return the path on which children find the fault plugin, and what this process finds by its own."""
    return os.pathsep.join(filter(None, [str(FAULT_PLUGIN), os.environ.get("PYTHONPATH")]))


def environment(**changes: str | None) -> dict[str, str]:
    """Return this process's environment with the fault plugin installed; None removes a variable.

    Streams are buffered as a user's are, which decides what an exit can still fail at.
    """
    merged = {**os.environ, "PYTHONPATH": python_path(), "PYTHONUNBUFFERED": None, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def start_cli(args: Sequence[str], *, prefix: Sequence[str] = (), env: dict[str, str] | None = None,
              limits: dict[int, int] | None = None, **streams: Any) -> subprocess.Popen[bytes]:  # fmt: skip
    """Start `mlcvbench ARGS` with no core files, default signal handling and bounded address space."""

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a test run in the background ignores it
        for kind, value in {resource.RLIMIT_CORE: 0, **(limits or {})}.items():
            resource.setrlimit(kind, (value, value))

    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.Popen([*prefix, *CLI, *args], env=env or environment(), preexec_fn=prepare, **streams)  # noqa: PLW1509


@functools.cache
def patience() -> float:
    """Return seconds in which a faulty run surely starts and reaches its fault on this machine, busy as it is now."""
    with tempfile.TemporaryDirectory() as folder:
        done = run_cli(["run", *FAULTY, f"out={folder}"])
    assert done.code == 0, done.err
    return float(round(max(3.0, 3 * done.seconds)))


def run_cli(args: Sequence[str], **how: Any) -> Result:
    """Run `mlcvbench ARGS` to its end."""
    begin = time.monotonic()
    process = start_cli(args, **how)
    try:
        out, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    text = [(data or b"").decode("utf-8", "replace") for data in (out, err)]
    return Result(process.returncode, *text, time.monotonic() - begin)


def assert_clean(result: Result, code: int, pattern: str) -> None:
    """Assert the exit code, that there is no traceback, and that the last line of stderr matches."""
    lines = result.err.strip().splitlines() or [""]

    assert "Traceback" not in result.err + result.out, result.err
    assert re.search(pattern, lines[-1]), result.err
    assert result.code == code, result.err


def problems_of(root: Path) -> list[Damage]:
    """Return all that is wrong with the runs under `root`: damaged records and artifacts that were changed."""
    store = Store(root)
    if not root.is_dir():
        return []
    records, problems = store.records()
    return problems + [
        Damage(folder / name, f"wanted sha256 {wanted}, got {got}")
        for record, folder in records
        for name, wanted, got in digests_of(record, folder)
        if got != wanted
    ]


def processes_of(root: Path) -> list[psutil.Process]:
    """Return the live processes, zombies left out, whose command line names `root`."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(root) in word for word in words):
            found.append(process)
    return [process for process in found if process.pid != os.getpid()]


def await_none(find: Callable[[], list[psutil.Process]], seconds: float = 5.0) -> list[psutil.Process]:
    """Wait until `find` finds nothing; return (and kill) what is left after `seconds`."""
    deadline = time.monotonic() + seconds
    while (left := find()) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in left:
        process.kill()
    return left


@contextmanager
def installed_faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install the fault plugin for this process and the children it starts."""
    monkeypatch.setenv("PYTHONPATH", python_path())
    monkeypatch.syspath_prepend(str(FAULT_PLUGIN))
    with using(discover()):
        yield


def faulty(*settings: str) -> RunConfig:
    """Return the configuration of one run of the faulty method."""
    (config,) = plan([*FAULTY, *settings]).configs
    return config


def need(tool: str) -> str:
    """Return the path of a tool or skip; with CI set, its absence is a failure."""
    path = shutil.which(tool)
    if path is None:
        skip_unless_ci(f"{tool} is not installed")
    return str(path)


@functools.cache
def need_strace() -> str:
    """Return the path of an strace that may trace here, or skip."""
    path = need("strace")
    tried = subprocess.run([path, "-f", "-e", "inject=getppid:error=EPERM", "true"], capture_output=True, check=False)
    if tried.returncode != 0:
        skip_unless_ci(f"strace may not trace here: {tried.stderr.decode(errors='replace').strip()}")
    return path


def skip_unless_ci(reason: str) -> None:
    """Skip the test; where CI is set nothing of the campaign may be skipped, so fail."""
    if os.environ.get("CI"):
        pytest.fail(f"in CI the whole campaign must run: {reason}")
    pytest.skip(reason)
