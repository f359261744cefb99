"""The npy format: one array a file, opened without unpickling and read when it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlcvbench.errors import DataError


def open_npy(path: Path) -> NDArray[Any]:
    """Return the array of an npy file, still on disk: its type and shape are known before anything is allocated.

    DataError names a file that is missing, damaged, or holds objects.
    """
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: is no npy file of numbers or is damaged ({error}).") from None
    return array
