"""Start a probe: one fresh process that rebuilds a run's model and reports back as JSON. Seen from the parent."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import orjson

from mlcvbench.plan.config import RunConfig

REQUEST_FILE, RESULT_FILE, LOG_FILE = "request.json", "result.json", "log.txt"
MAX_RESULT_BYTES = 64 * 2**20
LOG_TAIL = 300
LAST_SECONDS = 15
"""What a process that has closed its output is given to end, which a busy machine may need."""


class ProbeFailedError(Exception):
    """A probe died, hung or answered nonsense; the message becomes the reason in the record."""


class Probe:
    """A running probe process; leaving the `with` block ends it, whatever happened.

    It says `ready` when model and data are loaded, goes on when told to, says `done`, and leaves its result in a file.
    """

    def __init__(self, config: RunConfig, weights: Path | None, request: dict[str, Any], seconds: float) -> None:
        self._request = {**request, "config": config.to_dict(), "weights": None if weights is None else str(weights)}
        self._threads = config.threads
        self._deadline = time.monotonic() + seconds
        self._seconds = seconds
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Probe:
        from mlcvbench.processes.environment import thread_environment

        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="mlcvbench-probe-")))
        (self._folder / REQUEST_FILE).write_bytes(orjson.dumps(self._request))
        log = self._stack.enter_context((self._folder / LOG_FILE).open("wb"))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mlcvbench.measure.probe_child", str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, **thread_environment(self._threads)},
        )
        self._stack.callback(self._end)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def pid(self) -> int:
        """Process id of the probe."""
        return self._process.pid

    def wait_for(self, word: str, *, every: float = 0.2, meanwhile: Callable[[], None] | None = None) -> None:
        """Wait until the probe says `word`, calling `meanwhile` every so many seconds. ProbeFailedError otherwise."""
        pipe = self._pipe(self._process.stdout)
        while True:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise ProbeFailedError(f"the measuring process was stopped after {self._seconds:.0f} s")
            if meanwhile is not None:
                meanwhile()
            if select.select([pipe], [], [], min(every, left))[0]:
                said = pipe.readline().decode(errors="replace").strip()
                if said == word:
                    return
                raise ProbeFailedError(self._why(said))

    def go(self) -> None:
        """Tell the probe to go on."""
        pipe = self._pipe(self._process.stdin)
        try:
            pipe.write(b"go\n")
            pipe.flush()
        except BrokenPipeError:
            raise ProbeFailedError(self._why("")) from None

    def result(self) -> dict[str, Any]:
        """Return what the probe left behind."""
        path = self._folder / RESULT_FILE
        try:
            if path.stat().st_size > MAX_RESULT_BYTES:
                raise ProbeFailedError(f"the measuring process answered with more than {MAX_RESULT_BYTES} bytes")
            answer = orjson.loads(path.read_bytes())
        except (OSError, orjson.JSONDecodeError) as error:
            raise ProbeFailedError(f"the measuring process left no readable result ({type(error).__name__})") from None
        if not isinstance(answer, dict):
            raise ProbeFailedError("the measuring process left a result that is no object")
        return answer

    def _pipe(self, pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None, "the probe is started with pipes"
        return pipe

    def _why(self, said: str) -> str:
        """Say how the process ended, with the last line it logged, without folders of this machine."""
        from mlcvbench.errors import scrub

        if said:
            return f"the measuring process said {said[:LOG_TAIL]!r}"
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=LAST_SECONDS)
        code = self._process.returncode
        lines = scrub((self._folder / LOG_FILE).read_text(errors="replace")).strip().splitlines()
        last = f": {lines[-1][-LOG_TAIL:]}" if lines else ""
        how = (
            "closed its output"
            if code is None
            else f"died of signal {-code}"
            if code < 0
            else f"ended with code {code}"
        )
        return f"the measuring process {how}{last}"

    def _end(self) -> None:
        """Kill the probe if it still runs, reap it and close the pipes."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                self._pipe(pipe).close()
