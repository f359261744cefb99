"""The child process of one run, `-m mlcvbench.running.launch_child`.

It is asked `config`, `folder` and `watch`, what is known of the candidates of its search. It writes the artifacts of
the run into the folder and says how far it is (`stage`, `done`, `total`), which candidate it is trying (`trial`, null
when the search is over, and `left`), what it would leave if it ended now, once there is a score (`scored`, `files`),
and how it ended (`record` or `failed`). Standard output and error belong to the method: nothing is read from them.
"""

from __future__ import annotations

import time
import traceback
from pathlib import Path
from typing import Any

from mlcvbench.plan.config import RunConfig
from mlcvbench.processes.channel import Sender
from mlcvbench.processes.child_setup import protect_machine, serve
from mlcvbench.storage.durable import message_of

PROGRESS_SECONDS = 0.05


class Reports:
    """What a run, or a fit of a study, says to its parent."""

    def __init__(self, channel: Sender) -> None:
        self.send = channel.send
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


def run(request: dict[str, Any], channel: Sender) -> None:
    """Carry out the run and report its record, or why there is none."""
    config, folder, reports = RunConfig.from_dict(request["config"]), Path(request["folder"]), Reports(channel)
    protect_machine(config.memory_mb, config.device)
    try:
        from mlcvbench.running.stages import execute
        from mlcvbench.running.trials import Watch

        record = execute(
            config,
            folder,
            progress=reports.progress,
            watch=Watch.of(request["watch"], reports.trial),
            keep=lambda record: reports.scored(record.model_dump(), folder),
        )
        reports.send({"record": record.model_dump()})
    except BaseException as error:  # noqa: BLE001 - a method may raise SystemExit or worse; the parent records it
        reports.failed(error)


if __name__ == "__main__":
    serve(run)
