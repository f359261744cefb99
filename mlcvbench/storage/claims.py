"""Folders under construction, and claims that keep two sweeps from doing the same run twice.

A folder being built is `.tmp-<name>-<pid>-<boot>`, so that what a dead process left can be told apart from work in
progress.

A claim is a file `.claim-<run>` that only one process can create; it holds the process id, its start time and its boot.
Claims only save work; the rename in the store is what keeps records consistent. A claim whose process has ended is
removed under a lock, so that two sweeps cannot both take it over; where the file system has no locks, the worst case is
a run done twice and stored once.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mlcvbench.errors import StoreError
from mlcvbench.storage.durable import remove_tree, storing

PREFIX = ".claim-"
LOCK_FILE = ".lock"
FOREIGN_SECONDS = 7 * 86400.0
"""A pending folder of another machine or boot is kept for a week: its process cannot be looked up."""

_ATTEMPTS = 1000
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
_PENDING = re.compile(r"\.tmp-(?P<name>.+)-(?P<pid>\d+)-(?P<boot>[0-9a-f]{8})(?:-\d+)?")


@dataclass(frozen=True, slots=True)
class Owner:
    """A process on this or another machine: its id, start time (clock ticks since boot) and boot token."""

    pid: int
    started: int
    boot: str


@cache
def boot_token() -> str:
    """Return 8 hex digits that differ between machines, boots and pid namespaces: where a pid means something."""
    parts = [_read("/proc/sys/kernel/random/boot_id")]
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115 - the link's target is no path
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:8]


def this_process() -> Owner:
    """Return the calling process as an owner."""
    return Owner(os.getpid(), _start_time(os.getpid()), boot_token())


def alive(owner: Owner) -> bool:
    """Return whether the owner may still be running; owners on other machines or boots are taken to be."""
    if owner.boot != boot_token():
        return True
    return pid_alive(owner.pid) and owner.started in (0, _start_time(owner.pid))


def pid_alive(pid: int) -> bool:
    """Return whether a process of this id runs here (a zombie does not run)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _state(pid) != "Z"


def make_pending(root: Path, name: str) -> Path:
    """Create and return an empty folder of this process in which `name` is built."""
    base = f".tmp-{name}-{os.getpid()}-{boot_token()}"
    for folder in (root / base, *(root / f"{base}-{n}" for n in range(1, 1000))):
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise StoreError(f"cannot build {name!r}: {str(root)!r} holds 1,000 unfinished attempts at it.")


def remove_pending(root: Path) -> int:
    """Remove the folders that dead processes were building in `root`; return how many.

    Only where it is certain: the process belonged to this boot of this machine and has ended, or the
    folder is of another machine and has not been touched for a week.
    """
    stale = [folder for folder in root.glob(".tmp-*") if _is_stale(folder)]
    for folder in stale:
        remove_tree(folder)
    return len(stale)


def claim(root: Path, name: str) -> Owner | None:
    """Claim run `name` in `root` for this process. Return None on success, else the current owner."""
    path = root / f"{PREFIX}{name}"
    me = this_process()
    with storing(path), _locked(root):
        for _ in range(_ATTEMPTS):
            if _make_claim(path, me):
                return None
            try:
                content = path.read_bytes()
            except FileNotFoundError:  # released meanwhile, which happens where the file system has no locks
                continue
            holder = _owner(content)
            if holder == me:
                return None
            if holder is not None and alive(holder):
                return holder
            path.unlink(missing_ok=True)
    raise StoreError(f"cannot claim {str(path)!r}: it exists and cannot be read. Remove it.")


def release(root: Path, name: str) -> None:
    """Release a claim of this process; one of another process stays."""
    path = root / f"{PREFIX}{name}"
    with contextlib.suppress(OSError):
        if read_claim(path) == this_process():
            path.unlink()


def remove_stale(root: Path) -> None:
    """Remove the claims in `root` whose processes have ended."""
    for path in root.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), _locked(root):
            holder = read_claim(path)
            if holder is not None and not alive(holder):
                path.unlink()


def read_claim(path: Path) -> Owner | None:
    """Return the owner of the claim at `path`, None when it is missing or damaged."""
    try:
        return _owner(path.read_bytes())
    except OSError:
        return None


def _owner(content: bytes) -> Owner | None:
    try:
        data = json.loads(content[:1000])
        return Owner(int(data["pid"]), int(data["started"]), str(data["boot"]))
    except (ValueError, TypeError, KeyError):
        return None


def _make_claim(path: Path, owner: Owner) -> bool:
    """Create a claim together with its content, atomically; return False when there is one already."""
    folder = make_pending(path.parent, "claim")
    content = json.dumps({"pid": owner.pid, "started": owner.started, "boot": owner.boot})
    try:
        (folder / "claim").write_text(content)
        path.hardlink_to(folder / "claim")
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _make_claim_without_links(path, content)
    finally:
        remove_tree(folder)
    return True


def _make_claim_without_links(path: Path, content: str) -> bool:
    try:
        with path.open("x") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True


def _is_stale(folder: Path) -> bool:
    match = _PENDING.fullmatch(folder.name)
    if match is None or folder.is_symlink() or not folder.is_dir():
        return False
    if match["boot"] == boot_token():
        return not pid_alive(int(match["pid"]))
    try:
        return time.time() - folder.stat().st_mtime > FOREIGN_SECONDS
    except OSError:
        return False


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    descriptor = os.open(root / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        with contextlib.suppress(OSError):  # no locks on this file system: see the top of this file
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _fields(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the name, which may itself hold spaces and brackets."""
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def _state(pid: int) -> str:
    fields = _fields(pid)
    return fields[0] if fields else ""


def _start_time(pid: int) -> int:
    fields = _fields(pid)
    return int(fields[19]) if len(fields) > 19 else 0
