"""Every example in a docstring runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest
from support.paths import ROOT

import mlcvbench

TOPS = ["mlcvbench", *sorted(p.name for root in ("plugins", "tasks") for p in (ROOT / root).iterdir() if p.is_dir())]


def modules() -> list[str]:
    """Return the modules whose source holds an example."""
    found = []
    for top in TOPS:
        package = importlib.import_module(top)
        for info in pkgutil.walk_packages(package.__path__, prefix=f"{top}."):
            spec = importlib.util.find_spec(info.name)
            if spec is not None and spec.origin and ">>>" in Path(spec.origin).read_text():
                found.append(info.name)
    return found


@pytest.mark.parametrize("name", modules())
def test_the_examples_of_a_module_run(name: str) -> None:
    module = importlib.import_module(name)

    result = doctest.testmod(module, extraglobs=_globals(name), optionflags=doctest.ELLIPSIS)

    assert result.failed == 0
    assert result.attempted > 0


def _globals(name: str) -> dict[str, object]:
    import numpy as np

    return {"np": np, "Path": Path, "mlcvbench": mlcvbench}
