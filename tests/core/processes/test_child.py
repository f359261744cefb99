"""Children are started, heard and ended in one way, and nothing of them is left behind."""

from __future__ import annotations

import ast
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from support.paths import ROOT

from mlcvbench.processes.channel import Receiver, Sender
from mlcvbench.processes.child import Child, last_line, started
from mlcvbench.processes.environment import child_environment
from mlcvbench.processes.tree import private_file

WORK = """
import os, subprocess, sys, time
from mlcvbench.processes.child_setup import serve

def work(request, channel):
    {work}

serve(work)
"""


@contextmanager
def child_that(place: Path, work: str, request: dict | None = None, *, log=None, **how) -> Iterator[Child]:
    """Start a child that does `work`."""
    (place / "made_up_child.py").write_text(WORK.format(work=work))
    path = os.pathsep.join([str(place), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**child_environment(1), "PYTHONPATH": path}
    with (
        tempfile.TemporaryFile() as file,
        started("made_up_child", request or {}, log=log or file, environment=environment, **how) as child,
    ):
        yield child


def ended(pid: int) -> bool:
    """Tell whether a process is gone, waiting a little for the kernel to say so."""
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_a_child_gets_its_request_and_is_heard(tmp_path: Path):
    with child_that(tmp_path, "channel.send({'twice': 2 * request['number']})", {"number": 21}) as child:
        assert child.wait(30)
        assert list(child.said()) == [{"twice": 42}]
        assert list(child.said()) == []
        assert child.ending().code == 0


def test_a_child_that_listens_waits_until_it_is_told(tmp_path: Path):
    work = "channel.send({'ready': 1}); channel.send({'told': sys.stdin.readline().strip()})"
    with child_that(tmp_path, work, listens=True) as child:
        assert not child.wait(1.0)
        child.go()
        assert child.wait(30)
        assert list(child.said()) == [{"ready": 1}, {"told": "go"}]


def test_what_a_child_raises_is_its_exit_code_and_the_last_line_of_its_log(tmp_path: Path):
    with tempfile.TemporaryFile() as log:
        with child_that(tmp_path, "raise ValueError('no   such thing')", log=log) as child:
            assert child.wait(30)
            assert child.ending().code == 1
            assert child.ending().signal is None
        assert last_line(log) == "ValueError: no such thing"


@pytest.mark.parametrize(("code", "wanted"), [("3", 3), ("None", 0), ("'no'", 1)])
def test_a_child_may_leave_by_itself(tmp_path: Path, code: str, wanted: int):
    with child_that(tmp_path, f"sys.exit({code})") as child:
        assert child.wait(30)
        assert child.ending().code == wanted


def test_a_child_that_was_killed_says_by_what(tmp_path: Path):
    with child_that(tmp_path, "channel.send({'here': 1}); time.sleep(60)") as child:
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait(30)
        ending = child.ending()

    assert (ending.code, ending.signal, ending.from_outside) == (-9, "SIGKILL", True)


def test_leaving_the_block_ends_a_child_and_what_it_started(tmp_path: Path):
    work = (
        "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True); "
        "channel.send({'other': other.pid}); time.sleep(60)"
    )
    with child_that(tmp_path, work) as child:
        said = []
        while not said:
            child.wait(0.05)
            said = list(child.said())

    assert ended(child.pid)
    assert ended(said[0]["other"])


def test_a_child_dies_with_its_parent(tmp_path: Path):
    between = (
        "import tempfile; from mlcvbench.processes.child import started; "
        "block = started('sleeper', {}, log=tempfile.TemporaryFile(), environment=os.environ); "
        "child = block.__enter__(); channel.send({'pid': child.pid}); child.wait(60)"
    )
    (tmp_path / "sleeper.py").write_text(WORK.format(work="time.sleep(60)"))
    with child_that(tmp_path, between) as child:
        said = []
        while not said:
            child.wait(0.05)
            said = list(child.said())
        os.kill(child.pid, signal.SIGKILL)
        assert ended(said[0]["pid"])


def test_what_is_no_message_is_passed_over():
    with private_file() as file:
        os.write(file.fileno(), b"not JSON\n[1]\n\xff\n")
        Sender(file.fileno()).send({"a": 1})
        os.write(file.fileno(), b'{"half": ')
        receiver = Receiver(file)

        assert list(receiver.messages()) == [{"a": 1}]
        os.write(file.fileno(), b"2}\n")
        assert list(receiver.messages()) == [{"half": 2}]


SYSTEM = {"ctypes", "fcntl", "resource", "select", "signal", "subprocess"}
ALLOWED = {"mlcvbench/storage/claims.py": {"fcntl"}}  # locks of files


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(str(node.module).partition(".")[0])
    return found


def test_one_room_knows_how_the_system_starts_and_ends_processes():
    files = [path for tree in ("mlcvbench", "tasks", "plugins") for path in (ROOT / tree).rglob("*.py")]
    outside = {
        str(path.relative_to(ROOT)): imported(path) & SYSTEM for path in files if path.parent.name != "processes"
    }

    assert {name: found for name, found in outside.items() if found} == ALLOWED
    assert imported(Path(sys.modules[started.__module__].__file__)) & SYSTEM == {"subprocess"}


def test_a_child_is_the_inside_of_the_module_beside_it():
    children = sorted((ROOT / "mlcvbench").rglob("*_child.py"))

    assert children
    for path in children:
        parent = path.with_name(path.name.replace("_child", ""))
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        assert f'"{module}"' in parent.read_text(encoding="utf-8"), path
