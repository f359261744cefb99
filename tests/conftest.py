"""What every test has: a cache of its own, and the conditions under which a test may be skipped."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Listen to Ctrl-C even where the suite was started in the background, which makes a process deaf to it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the user's cache out of the tests, and the tests out of it."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("MLCVBENCH_CACHE")
    os.environ["MLCVBENCH_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["MLCVBENCH_CACHE"]
    else:
        os.environ["MLCVBENCH_CACHE"] = before


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long campaigns out unless they are asked for by `-m campaign`."""
    if "campaign" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("campaign")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
