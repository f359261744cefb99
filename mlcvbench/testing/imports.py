"""What importing a plugin costs: the heavy libraries that come along when only its specs are read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

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
_PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
__import__(sys.argv[2])
print("\\n" + json.dumps([name for name in json.loads(sys.argv[3]) if name in sys.modules]))
"""


def heavy_imports(module: str, heavy: Sequence[str] = HEAVY) -> list[str]:
    """Return which of the `heavy` modules a fresh interpreter has loaded after importing `module`.

    RuntimeError with the last line of its complaint when the import fails.
    """
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, json.dumps(sys.path), module, json.dumps(list(heavy))],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"importing {module!r} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found
