"""npy files: many threads open them at once."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mlcvbench.files.npy import open_npy


@pytest.fixture
def collecting() -> Iterator[None]:
    """The collector runs at every other allocation, and lets other threads go on meanwhile."""

    def pause(_phase: str, _facts: dict[str, int]) -> None:
        time.sleep(0)

    before = gc.get_threshold()
    gc.callbacks.append(pause)
    gc.set_threshold(20, 1000, 1000)
    yield
    gc.set_threshold(*before)
    gc.callbacks.remove(pause)


@pytest.mark.usefixtures("collecting")
def test_threads_may_open_files_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.arange(6.0).reshape(2, 3))
    with ThreadPoolExecutor(4) as pool:
        sums = list(pool.map(lambda _: float(open_npy(path).sum()), range(200)))
    assert sums == [15.0] * 200
