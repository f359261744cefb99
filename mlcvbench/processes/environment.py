"""The environment of a child: the requested threads, and nothing that makes two machines differ."""

from __future__ import annotations

import os

from mlcvbench.storage import cache

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def thread_environment(threads: int) -> dict[str, str]:
    """Return the environment variables that fix the thread count of a process before it starts."""
    return dict.fromkeys(THREAD_VARIABLES, str(threads))


def child_environment(threads: int, device: str = "cpu", *, traces: bool = False) -> dict[str, str]:
    """Return the environment of a child. `traces`: a crash writes a traceback into its log."""
    environment = {**os.environ, **thread_environment(threads)}
    environment |= {
        cache.VARIABLE: str(cache.cache_dir()),
        "MPLBACKEND": "Agg",
        "PYTHONHASHSEED": "0",
        "PYTHONSAFEPATH": "1",  # a file such as random.py in the working folder must not be imported
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
    }
    if traces:
        environment["PYTHONFAULTHANDLER"] = "1"
    if device != "cpu":
        environment.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # required by torch's deterministic mode
    return environment
