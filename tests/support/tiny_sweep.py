"""A sweep in miniature, for faults at every system call.

It does with the real store what a sweep does with it (clean up, look, claim, build, commit, release) and writes the
name of each run, once it is stored, to standard output. It needs no site-packages but orjson and pydantic, so that it
starts quickly under `python -S -E`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import traceback
from pathlib import Path

sys.path[:0] = [place for place in os.environ.get("TINY_PATH", "").split(os.pathsep) if place]

import orjson  # noqa: E402 - the path comes first; loaded before the faults begin

import mlcvbench.records.schema  # noqa: E402, F401 - the same
from mlcvbench.errors import MlcvbenchError  # noqa: E402
from mlcvbench.records.canonical import read_raw  # noqa: E402
from mlcvbench.records.store import Store, name_of  # noqa: E402
from mlcvbench.storage import cache, claims  # noqa: E402


def record_of(number: int) -> dict:
    """Return the plain record of run `number`."""
    key = hashlib.sha256(str(number).encode()).hexdigest()
    return {
        "schema_version": 1,
        "mlcvbench_version": "0.1.0",
        "run_id": "tiny",
        "run_key": key,
        "group_key": key,
        "nonce": "",
        "created_utc": "2026-11-23T00:00:00Z",
        "status": "ok",
        "task": {"kind": "classification", "definition": "tiny", "protocol_id": "top1/single-crop@1"},
        "model": {"name": "fake", "plugin": "fake", "plugin_version": "1"},
        "config": {},
        "command": "tiny",
        "seed": number,
    }


class MethodError(Exception):
    """Writing the artifacts failed."""


def write_artifacts(folder: Path, number: int) -> None:
    """Write what a method would."""
    try:
        (folder / "plots").mkdir()
        for file, size in (("predictions.npz", 20_000), ("rows.parquet", 5_000), ("plots/a.png", 3_000)):
            (folder / file).write_bytes(bytes([number % 256]) * size)
    except OSError as error:
        raise MethodError(str(error)) from error


def do_run(store: Store, number: int) -> None:
    """Do run `number` unless it is stored; say its name."""
    record = record_of(number)
    name = name_of(record)
    if not (store.root / name / "record.json").is_file() and claims.claim(store.root, name) is None:
        try:
            pending = store.begin(name)
            write_artifacts(pending.folder, number)
            store.commit_raw(pending, record)
        finally:
            claims.release(store.root, name)
    assert read_raw(store.root / name)["run_key"] == record["run_key"]
    say(1, name)


def sweep(root: Path, first: int, last: int) -> None:
    """Do the runs `first` to `last` that are not stored."""
    store = Store(root)
    store.ensure_writable()
    store.clean_stale()
    for number in range(first, last + 1):
        do_run(store, number)


def fill_cache() -> None:
    """Store one entry in the cache."""
    folder = cache.put("fits", "key", lambda place: (place / "weights").write_bytes(b"w" * 50_000))
    say(1, folder.name)


def say(descriptor: int, line: str) -> None:
    """Write one line at once; a fault in telling is not what is tested."""
    with contextlib.suppress(OSError):
        os.write(descriptor, f"{line}\n".encode())


def idle_call(call: str, descriptor: int) -> None:
    """Make one system call of this kind that does nothing; `descriptor` is open on /dev/null."""
    calls = {
        "write": lambda: os.write(descriptor, b""),
        "fsync": lambda: os.fsync(descriptor),
        "rename": lambda: os.rename("", ""),  # noqa: PTH104 - the bare call is wanted
        "openat": lambda: os.open("", os.O_RDONLY),
        "close": lambda: os.close(-1),
    }
    with contextlib.suppress(OSError):
        calls[call]()


def work(what: str, place: Path) -> int:
    """Do one record write or one cache write under `place`; 2 with one line when it is refused."""
    try:
        if what == "cache":
            os.environ[cache.VARIABLE] = str(place)
            fill_cache()
        else:
            sweep(place, 0, 0)
    except (MlcvbenchError, MethodError) as error:
        say(2, str(error))
        return 2
    return 0


def break_each(what: str, base: Path, call: str, fatal: int, numbers: list[int]) -> dict[int, int]:
    """Do the work in one fork a number, such that its number-th call is the `fatal`-th of the fork; return exit codes.

    strace counts calls a process, so one strace that breaks the `fatal`-th breaks a different call in each fork.
    """
    codes = {}
    null = os.open(os.devnull, os.O_WRONLY)
    claims.boot_token()
    for number in numbers:
        place = base / f"{call}-{number}"
        streams = [os.open(f"{place}.{name}", os.O_WRONLY | os.O_CREAT, 0o644) for name in ("out", "err")]
        child = os.fork()
        if child == 0:
            os.dup2(streams[0], 1)
            os.dup2(streams[1], 2)
            for _ in range(fatal - number):
                idle_call(call, null)
            os.getppid()  # the marker: the work begins
            try:
                code = work(what, place)
            except BaseException:  # noqa: BLE001 - what escapes is the finding
                traceback.print_exc()
                code = 3
            os.getppid()
            os._exit(code)
        for stream in streams:
            os.close(stream)
        _, status = os.waitpid(child, 0)
        codes[number] = os.waitstatus_to_exitcode(status)
    return codes


def main() -> None:
    """`sweep ROOT FIRST LAST`, or `break WHAT BASE CALL FATAL NUMBERS`."""
    if sys.argv[1] == "break":
        what, base, call, fatal, numbers = sys.argv[2:]
        codes = break_each(what, Path(base), call, int(fatal), [int(number) for number in numbers.split(",")])
        print(orjson.dumps({str(number): code for number, code in codes.items()}).decode())
    else:
        say(1, "ready")
        sweep(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))


if __name__ == "__main__":
    main()
