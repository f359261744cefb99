"""What a run's data are, found out before it starts: read and checked in a child process, and remembered.

A child, because readers are C code and plugins on files from outside: a crash costs one line, not the sweep, and one
that hangs is ended with all that it started.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import IO, Any

from mlcvbench.errors import DataError
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.identity import compute_run_key
from mlcvbench.processes.interrupts import deferred
from mlcvbench.processes.tree import end_tree, private_file, reap, wait_for

_described: dict[str, dict[str, Any]] = {}
"""Answers by request; a request that failed is asked again."""


def run_key(config: RunConfig) -> str:
    """Return the key of a run, describing its data in a child process. DataError when the data cannot be read."""
    return compute_run_key(config, describe_data(config)["fingerprint"])


def describe_data(config: RunConfig) -> dict[str, Any]:
    """Return {"fingerprint", "sizes", "name", "version"} of the run's data.

    The child also refuses data that contradict themselves, and a protocol or metric that the task does not know. It may
    take as long as the run: DataError when it takes longer, ends without an answer, or says what is wrong.
    """
    request = json.dumps(
        {
            "kind": config.definition.kind,
            "dataset": config.definition.dataset,
            "params": config.data_params,
            "data_seed": config.data_seed,
            "protocol": config.definition.protocol,
            "metrics": config.definition.metrics,
        },
        sort_keys=True,
    )
    if request not in _described:
        _described[request] = _ask(request, config.definition.dataset, config.seconds)
    return dict(_described[request])


def forget() -> None:
    """Ask anew from here on: files may have changed since, in a session that goes on for hours."""
    _described.clear()


def _ask(request: str, dataset: str, seconds: float) -> dict[str, Any]:
    """Have a child answer a request. Files carry it, since a process that the child leaves could hold a pipe open."""
    with private_file(request.encode()) as asked, private_file() as said, tempfile.TemporaryFile() as log:
        with deferred():  # an interrupt between fork and return would lose the child
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "mlcvbench.loading.description_child", str(os.getpid())],
                stdin=asked,
                stdout=said,
                stderr=log,
                start_new_session=True,
            )
        with _ended(process):
            if not wait_for(process, seconds):
                raise DataError(
                    f"reading data set {dataset!r} took longer than the limit of {seconds:g} s; "
                    "give it more with timeout=SECONDS."
                )
        return _answer(process.returncode, _lines(said), _lines(log), dataset)


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Leave nothing of a process behind, whatever happens in the block."""
    try:
        yield
    except BaseException:
        end_tree(process)
        raise
    finally:
        reap(process)


def _answer(code: int, said: list[str], log: list[str], dataset: str) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(said[-1])
    except (IndexError, ValueError):
        why = f": {' '.join(log[-1].split())}" if log else "."
        raise DataError(f"reading data set {dataset!r} ended the reader (exit code {code}){why}") from None
    if "error" in answer:
        error = DataError(answer["error"])
        error.exit_code = answer["exit_code"]
        raise error
    return answer


def _lines(file: IO[bytes]) -> list[str]:
    file.seek(0)
    return file.read().decode(errors="replace").strip().splitlines()
