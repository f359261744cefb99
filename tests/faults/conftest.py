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
