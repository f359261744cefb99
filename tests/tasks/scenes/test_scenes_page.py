"""The examples on the page run as they stand."""

from __future__ import annotations

import doctest
import importlib
import re

import pytest
from support.paths import ROOT

from mlcvbench.analysis.preview import plan_previews
from mlcvbench.plan.planning import plan

PAGE = ROOT / "docs" / "scenes.md"


def test_the_examples_of_the_page_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    program = "".join(part.split("```")[0] for part in PAGE.read_text().split("```python\n")[1:])
    names: dict[str, object] = {}

    exec(compile(program, str(PAGE), "exec"), names)

    assert (tmp_path / "left.png").is_file()
    assert "m is the nearest point;" in capsys.readouterr().out
    assert len(names["frames"]) == len(names["poses"]) == len(names["photos"]) == 5


def commands(name: str) -> list[list[str]]:
    """Return the words behind each `mlcvbench NAME ...` on the page."""
    return [words.split() for words in re.findall(rf"mlcvbench {name} ([^`\n]+)", PAGE.read_text())]


def test_the_commands_of_the_page_are_understood(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = [plan(words) for words in commands("run")]
    previews = [plan_previews(name, settings) for name, *settings in commands("data preview")]

    assert {run.definition.kind for run in runs} == {"detection", "segmentation", "depth", "verification"}
    assert {one.data.spec.name for found in previews for one in found} == {
        "scenes",
        "scenes-256",
        "face-scenes",
        "scenes-stereo",
        "scenes-mono",
        "scenes-mono-varied",
        "bodies",
        "faces",
    }


@pytest.mark.parametrize("module", ["hashing", "vectors"])
def test_examples_in_docstrings_hold(module):
    results = doctest.testmod(importlib.import_module(f"mlcvbench_scenes.{module}"))

    assert results.attempted > 0
    assert results.failed == 0
