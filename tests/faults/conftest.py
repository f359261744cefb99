"""Shared by the fault campaign."""

from __future__ import annotations

import pytest
from support import faults

from mlcvbench.records.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


@pytest.fixture
def plugin(monkeypatch):
    """Install the methods that go wrong on purpose."""
    with faults.installed_faults(monkeypatch):
        yield


def pytest_collection_modifyitems(config, items):
    """Leave the long campaign out unless it is asked for by `-m campaign`."""
    if "campaign" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("campaign")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
