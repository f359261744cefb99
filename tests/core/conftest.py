from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.plugins import importable, install_toy_task, toy_registry

from mlcvbench.registry import Registry, using


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """An importable folder to install plugins in."""
    place = tmp_path / "site"
    place.mkdir()
    with importable(place):
        yield place


@pytest.fixture
def toys(site: Path) -> Iterator[Registry]:
    """A registry that holds one made-up task with its models, data sets and definitions."""
    install_toy_task(site)
    with using(toy_registry(site)) as registry:
        yield registry
