"""Start a probe: one fresh process that rebuilds a run's model, measures it and reports the result."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from mlcvbench.plan.config import RunConfig
from mlcvbench.processes.child import POLL_SECONDS, last_line, started
from mlcvbench.processes.environment import child_environment

LOG_TAIL = 300


class ProbeFailedError(Exception):
    """A probe died, hung or sent an invalid answer; the message becomes the reason in the record."""


class Probe:
    """A running probe process; leaving the `with` block ends it, whatever happened.

    It sends `ready` when model and data are loaded, continues on request, and sends `done` with its answer.
    """

    def __init__(self, config: RunConfig, weights: Path | None, request: dict[str, Any], seconds: float) -> None:
        self._request = {**request, "config": config.to_dict(), "weights": None if weights is None else str(weights)}
        self._environment = child_environment(config.threads, config.device)
        self._deadline = time.monotonic() + seconds
        self._seconds = seconds
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Probe:
        self._log = self._stack.enter_context(tempfile.TemporaryFile())
        self._child = self._stack.enter_context(
            started(
                "mlcvbench.measure.probe_child",
                self._request,
                log=self._log,
                environment=self._environment,
                listens=True,
            )
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def pid(self) -> int:
        """Process id of the probe."""
        return self._child.pid

    def wait_for(
        self, word: str, *, every: float = POLL_SECONDS, meanwhile: Callable[[], None] | None = None
    ) -> dict[str, Any]:
        """Wait until the probe sends `word` and return that message, calling `meanwhile` every `every` seconds.

        ProbeFailedError when it sends something else, ends or takes too long.
        """
        ended = False
        while True:
            message = next(self._child.said(), None)
            if message is not None:
                if message.get("said") == word:
                    return message
                raise ProbeFailedError(f"the measuring process said {str(message)[:LOG_TAIL]}")
            if ended:
                raise ProbeFailedError(self._why())
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise ProbeFailedError(f"the measuring process was stopped after {self._seconds:.0f} s")
            if meanwhile is not None:
                meanwhile()
            ended = self._child.wait(min(every, left))

    def go(self) -> None:
        """Let the probe continue."""
        self._child.go()

    def _why(self) -> str:
        """Return how the process ended, with its last log line, without paths of this machine."""
        from mlcvbench.errors import scrub

        code = self._child.ending().code
        said = scrub(last_line(self._log))[-LOG_TAIL:]
        how = f"died of signal {-code}" if code < 0 else f"ended with code {code}"
        return f"the measuring process {how}{': ' if said else ''}{said}"
