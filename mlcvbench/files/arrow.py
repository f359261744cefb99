"""pyarrow, imported when it is first needed."""

from __future__ import annotations

import functools
import os
from typing import Any


@functools.cache
def load_pyarrow() -> Any:
    """Return pyarrow, which uses the system's allocator: its own one reserves more memory than that."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    import pyarrow as pa

    return pa
