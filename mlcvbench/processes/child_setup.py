"""The set-up inside a child: it dies with its parent, reads its request and sends messages on its channel."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from mlcvbench.limits import MIB
from mlcvbench.processes.channel import Sender

ADDRESS_SPACE_SLACK = 8 * 1024 * MIB
"""Address space beyond the memory limit on a CPU: libraries reserve far more than they ever touch."""
_PR_SET_PDEATHSIG = 1


def serve(work: Callable[[dict[str, Any], Sender], None]) -> NoReturn:
    """Carry out the request of `child.started`, then exit without the interpreter's clean-up, where a method could
    hang.

    An exception of `work` ends the process with a traceback in its log and exit code 1.
    """
    import orjson

    asked, channel, parent = map(int, sys.argv[1:4])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    tie_to_parent(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(asked, "rb") as file:
        request = orjson.loads(file.read())
    code = 0
    try:
        work(request, Sender(channel))
    except SystemExit as error:  # raised by a method or a loader
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001 - as the interpreter does at its exit, which this process skips
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


def tie_to_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; end now if it already has. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def protect_machine(memory_mb: int | None, device: str) -> None:
    """Make this process the first to be killed when memory runs out, and bound its allocations."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    if memory_mb is not None and device == "cpu":  # CUDA reserves unbounded address space
        wanted = memory_mb * MIB + ADDRESS_SPACE_SLACK
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        bounded = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_AS, (bounded, hard))
