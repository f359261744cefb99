"""The child process of one run, `-m mlcvbench.running.launch_child`.

Its request holds `config`, `folder` and `watch`, the known facts about the candidates of its search. It writes the
run's artifacts into the folder and sends its progress (`stage`, `done`, `total`, and the `numbers` of a fit), the
candidate it is trying (`trial`, null when the search is over, and `left`), the record to keep if it ended now, once
there is a score (`scored`, `files`), and its end (`record` or `failed`). Standard output and error belong to the
method: nothing is read from them.
"""

from __future__ import annotations

import time
import traceback
from pathlib import Path
from typing import Any

from mlcvbench.plan.config import RunConfig
from mlcvbench.processes.channel import Sender
from mlcvbench.processes.child_setup import protect_machine, serve
from mlcvbench.processes.progress import NO_NUMBERS, Numbers
from mlcvbench.storage.durable import message_of

PROGRESS_SECONDS = 0.05


class Reports:
    """The messages of a run, or of a fit of a study, to its parent."""

    def __init__(self, channel: Sender) -> None:
        self.send = channel.send
        self._stage = ""
        self._said = 0.0

    def progress(self, stage: str, done: int, total: int, numbers: Numbers = NO_NUMBERS) -> None:
        """Report the progress of a stage, at most 20 times per second but always its beginning, its end and numbers."""
        now = time.monotonic()
        if stage == self._stage and done < total and now - self._said < PROGRESS_SECONDS and not numbers:
            return
        self._stage, self._said = stage, now
        self.send({"stage": stage, "done": done, "total": total, **({"numbers": dict(numbers)} if numbers else {})})

    def trial(self, number: int | None, left: int) -> None:
        """Report which candidate of a search begins, None when it is over, and how many fits are left."""
        self.send({"trial": number, "left": left})

    def scored(self, record: dict[str, Any], folder: Path) -> None:
        """Report the record so far, and which files belong to it."""
        files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        self.send({"scored": record, "files": files})

    def failed(self, error: BaseException) -> None:
        """Report that the run ended without its own record."""
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
