"""The npy format: one array per file, opened without unpickling and read on demand."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlcvbench.errors import DataError

_HEADERS = threading.Lock()
"""numpy parses a header by `ast`, whose state Python 3.11 shares among threads: two at once may be a SystemError."""


def open_npy(path: Path) -> NDArray[Any]:
    """Return the array of an npy file, still on disk: its dtype and shape are known before anything is allocated.

    DataError names a file that is missing, damaged, or holds objects. Threads may call it at once.
    """
    try:
        with _HEADERS:
            array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: is not an npy file of numbers, or is damaged ({error}).") from None
    return array
