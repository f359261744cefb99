"""What the environment of a child process says before it starts."""

from __future__ import annotations

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
