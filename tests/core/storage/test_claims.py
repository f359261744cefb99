"""Claims: who is working on which run."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlcvbench.errors import StoreError
from mlcvbench.storage import claims
from mlcvbench.storage.claims import Owner, boot_token, claim, read_claim, release, remove_stale, this_process


def write_claim(root, name, owner):
    (root / f".claim-{name}").write_text(
        json.dumps({"pid": owner.pid, "started": owner.started, "boot": owner.boot}), encoding="utf-8"
    )


@pytest.fixture
def sleeper():
    process = subprocess.Popen([sys.executable, "-S", "-c", "import time; print(flush=True); time.sleep(60)"],
                               stdout=subprocess.PIPE)  # fmt: skip
    with process:
        process.stdout.readline()
        yield process
        process.kill()


def owner_of(pid):
    return Owner(pid, claims._start_time(pid), boot_token())


def test_a_run_is_claimed_once_and_free_again_after_release(tmp_path):
    assert claim(tmp_path, "run") is None
    assert read_claim(tmp_path / ".claim-run") == this_process()

    release(tmp_path, "run")

    assert read_claim(tmp_path / ".claim-run") is None


def test_the_claim_of_a_live_process_holds(tmp_path, sleeper):
    holder = owner_of(sleeper.pid)
    write_claim(tmp_path, "run", holder)

    assert claim(tmp_path, "run") == holder
    release(tmp_path, "run")
    assert read_claim(tmp_path / ".claim-run") == holder


def test_the_claim_of_a_dead_process_is_broken(tmp_path, sleeper):
    write_claim(tmp_path, "run", owner_of(sleeper.pid))
    sleeper.kill()
    sleeper.wait()

    assert claim(tmp_path, "run") is None


def test_a_process_id_that_was_given_out_again_does_not_hold(tmp_path, sleeper):
    holder = owner_of(sleeper.pid)
    write_claim(tmp_path, "run", Owner(holder.pid, holder.started - 1, holder.boot))

    assert claim(tmp_path, "run") is None


def test_a_zombie_does_not_hold(tmp_path):
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    holder = owner_of(process.pid)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    write_claim(tmp_path, "run", holder)

    assert claim(tmp_path, "run") is None
    process.wait()


def test_the_claim_of_another_machine_holds(tmp_path):
    elsewhere = Owner(1, 1, "ffffffff")
    write_claim(tmp_path, "run", elsewhere)

    assert claim(tmp_path, "run") == elsewhere


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "x"}', b"\xff" * 50])
def test_a_damaged_claim_is_nobodys(tmp_path, content):
    (tmp_path / ".claim-run").write_bytes(content)

    assert claim(tmp_path, "run") is None


def test_a_link_to_nowhere_is_named_and_not_waited_for(tmp_path):
    path = tmp_path / ".claim-run"
    path.symlink_to(tmp_path / "nowhere")

    with pytest.raises(StoreError) as error:
        claim(tmp_path, "run")

    assert str(error.value) == f"cannot claim {str(path)!r}: it exists and cannot be read. Remove it."


def test_a_claim_that_another_made_since_none_was_seen_is_not_removed(tmp_path, monkeypatch, sleeper):
    other = owner_of(sleeper.pid)
    read = Path.read_bytes

    def just_too_early(path):
        monkeypatch.setattr(Path, "read_bytes", read)
        write_claim(tmp_path, "run", other)
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))

    write_claim(tmp_path, "run", Owner(sleeper.pid, 1, boot_token()))
    monkeypatch.setattr(Path, "read_bytes", just_too_early)

    assert claim(tmp_path, "run") == other
    assert read_claim(tmp_path / ".claim-run") == other


def test_a_file_system_without_links_has_claims_too(tmp_path, monkeypatch):
    def refuse(path, target):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)

    assert claim(tmp_path, "run") is None
    assert sorted(path.name for path in tmp_path.iterdir()) == [".claim-run", ".lock"]
    assert read_claim(tmp_path / ".claim-run") == this_process()


def test_only_stale_claims_are_removed(tmp_path, sleeper):
    write_claim(tmp_path, "live", owner_of(sleeper.pid))
    write_claim(tmp_path, "foreign", Owner(1, 1, "ffffffff"))
    write_claim(tmp_path, "reused", Owner(sleeper.pid, 1, boot_token()))

    remove_stale(tmp_path)

    assert sorted(path.name for path in tmp_path.glob(".claim-*")) == [".claim-foreign", ".claim-live"]


@pytest.mark.parametrize("locks", [True, False])
def test_of_eight_processes_one_wins_each_name(tmp_path, locks):
    code = (
        "import fcntl, sys; from pathlib import Path; from mlcvbench.storage.claims import claim\n"
        + ("" if locks else "def refuse(*a): raise OSError(37, 'No locks available')\nfcntl.flock = refuse\n")
        + "sys.stdin.readline()\n"
        "print(*[n for n in range(25) if claim(Path(sys.argv[1]), str(n)) is None], flush=True)\n"
        "sys.stdin.readline()\n"
    )
    racers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(8)
    ]
    for racer in racers:
        racer.stdin.write(b"go\n")
        racer.stdin.flush()
    won = [racer.stdout.readline().split() for racer in racers]
    for racer in racers:
        racer.communicate(b"done\n")

    assert sorted(int(name) for names in won for name in names) == list(range(25))
