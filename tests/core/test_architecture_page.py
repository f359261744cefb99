"""The tour of the house is true: every file it names exists, and its picture is the import rule."""

from __future__ import annotations

import re
import tomllib

import pytest
from support.paths import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PLACES = sorted(set(re.findall(r"`((?:mlcvbench|tasks|plugins|tests)/[\w/.]*)`", PAGE)))
FILES_OF_RUNNING = sorted(set(re.findall(r"`([a-z]+\.py)`", PAGE)) - {"task.py"})


@pytest.mark.parametrize("place", PLACES)
def test_a_place_that_the_tour_names_exists(place: str):
    assert (ROOT / place).exists()


@pytest.mark.parametrize("file", FILES_OF_RUNNING)
def test_a_stage_lies_beside_the_run(file: str):
    assert (ROOT / "mlcvbench" / "running" / file).is_file()


def test_the_picture_is_the_import_rule():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract.get("containers") == ["mlcvbench"]]

    assert PAGE.split("```")[1].strip().splitlines() == layers


def test_every_room_is_on_the_tour():
    rooms = {f"mlcvbench/{path.name}/" for path in (ROOT / "mlcvbench").iterdir() if (path / "__init__.py").is_file()}

    assert rooms <= set(PLACES)


def test_every_kind_has_the_module_of_its_task():
    kinds = [path.parent for path in (ROOT / "tasks").glob("*/definitions")]

    assert kinds
    assert all((kind / "task.py").is_file() for kind in kinds)
