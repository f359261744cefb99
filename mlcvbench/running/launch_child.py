"""The child process of one run: `-m mlcvbench.running.launch_child REQUEST.json FOLDER [--channel FD] [--parent PID]`.

REQUEST.json holds `config` and `watch`, what is known of the candidates of its search. It writes the run's artifacts
into FOLDER and says on the channel, one JSON object a line, how far it is (`{"stage", "done", "total"}`), which
candidate it is trying (`{"trial", "left"}`, null when it is over), what it would leave if it ended now, once there is a
score (`{"scored", "files"}`), and how it ended (`{"record"}` or `{"failed"}`).
Standard output and error belong to the method: nothing is read from them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

from mlcvbench.limits import MIB
from mlcvbench.plan.config import RunConfig
from mlcvbench.processes.tree import tie_to_parent
from mlcvbench.records.canonical import loads, to_line
from mlcvbench.storage.durable import message_of

PROGRESS_SECONDS = 0.05
ADDRESS_SPACE_SLACK = 8 * 1024 * MIB
"""Address space beyond the memory limit on a CPU: libraries reserve far more than they ever touch."""


class Channel:
    """Lines of JSON to the parent, over a descriptor of their own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._stage = ""
        self._said = 0.0

    def progress(self, stage: str, done: int, total: int) -> None:
        """Say how far a stage is; at most 20 times a second, but each stage's begin and end always."""
        now = time.monotonic()
        if stage == self._stage and done < total and now - self._said < PROGRESS_SECONDS:
            return
        self._stage, self._said = stage, now
        self.send({"stage": stage, "done": done, "total": total})

    def trial(self, number: int | None, left: int) -> None:
        """Say which candidate of a search begins, or None: it is over; and how many fits there are still to come."""
        self.send({"trial": number, "left": left})

    def scored(self, record: dict[str, Any], folder: Path) -> None:
        """Say what the run has come to so far, and which files belong to it."""
        files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        self.send({"scored": record, "files": files})

    def failed(self, error: BaseException) -> None:
        """Say that the run ended without a record of its own."""
        self.send(
            {
                "failed": {
                    "type": type(error).__name__,
                    "message": message_of(error),
                    "traceback": "".join(traceback.format_exception(error)),
                }
            }
        )

    def send(self, message: dict[str, Any]) -> None:
        """Write one line, whole."""
        data = memoryview(to_line(message))
        while data:
            data = data[os.write(self._descriptor, data) :]


def protect_machine(config: RunConfig) -> None:
    """Write no core files, be the first to go when memory runs out, and bound what one allocation can ask for."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    if config.memory_mb is not None and config.device == "cpu":  # CUDA reserves address space without bound
        wanted = config.memory_mb * MIB + ADDRESS_SPACE_SLACK
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        bounded = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_AS, (bounded, hard))


def run(config: RunConfig, watch: dict[str, Any], folder: Path, channel: Channel) -> None:
    """Carry out the run and report its record, or why there is none."""
    try:
        from mlcvbench.running.stages import execute
        from mlcvbench.running.trials import Watch

        record = execute(
            config,
            folder,
            progress=channel.progress,
            watch=Watch.of(watch, channel.trial),
            keep=lambda record: channel.scored(record.model_dump(), folder),
        )
        channel.send({"record": record.model_dump()})
    except BaseException as error:  # noqa: BLE001 - a method may raise SystemExit or worse; the parent records it
        channel.failed(error)


def main(argv: list[str] | None = None) -> NoReturn:
    """Run what the command line names and leave without the interpreter's clean-up, which a method could hang."""
    parser = argparse.ArgumentParser(prog="python -m mlcvbench.running.launch_child")
    parser.add_argument("request", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--channel", type=int, default=1)
    parser.add_argument("--parent", type=int)
    given = parser.parse_args(argv)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    if given.parent is not None:
        tie_to_parent(given.parent)
    request = loads(given.request.read_bytes(), given.request)
    config = RunConfig.from_dict(request["config"])
    protect_machine(config)
    run(config, request["watch"], given.folder.absolute(), Channel(given.channel))
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
