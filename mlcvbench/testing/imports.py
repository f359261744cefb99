"""The import cost of a plugin: the heavy libraries that are imported when only its specs are read."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence

from mlcvbench.processes.child import last_line, started
from mlcvbench.processes.environment import child_environment

HEAVY = (
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "scipy",
    "sklearn",
    "skimage",
    "pandas",
    "cv2",
    "matplotlib",
    "pydantic",
)
SECONDS = 120.0


def heavy_imports(module: str, heavy: Sequence[str] = HEAVY) -> list[str]:
    """Return which of the `heavy` modules a fresh interpreter has loaded after importing `module`.

    RuntimeError with the last line of its output when the import fails, or when it takes two minutes.
    """
    request = {"path": sys.path, "module": module, "heavy": list(heavy)}
    environment = child_environment(threads=1)
    with (
        tempfile.TemporaryFile() as log,
        started("mlcvbench.testing.imports_child", request, log=log, environment=environment) as child,
    ):
        if not child.wait(SECONDS):
            raise RuntimeError(f"importing {module!r} took longer than {SECONDS:g} s")
        for answer in child.said():
            found: list[str] = answer["found"]
            return found
        raise RuntimeError(f"importing {module!r} failed: {last_line(log) or 'no message'}")
