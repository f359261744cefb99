"""The child process that imports one module, `-m mlcvbench.testing.imports_child`, and reports what else was
imported.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from mlcvbench.processes.channel import Sender
from mlcvbench.processes.child_setup import serve


def find(request: dict[str, Any], channel: Sender) -> None:
    """Report which heavy modules are loaded after importing the module of a request."""
    sys.path[:] = request["path"]
    importlib.import_module(request["module"])
    channel.send({"found": [name for name in request["heavy"] if name in sys.modules]})


if __name__ == "__main__":
    serve(find)
