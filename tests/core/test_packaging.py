"""The package as a stranger gets it: entry points, types, names, sizes."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from support.paths import ROOT

import mlcvbench

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = sorted(path for root in ("plugins", "tasks") for path in (ROOT / root).iterdir() if path.is_dir())
MOST_LINES = 500
OTHERWISE = {"pynvml": "nvidia-ml-py"}
"""Distributions of what an extra brings, which may not be installed here."""


def test_each_package_with_hooks_has_its_entry_point_and_no_other_has_one() -> None:
    declared = set(PROJECT["project"]["entry-points"]["mlcvbench"].values())

    with_hooks = {path.name for path in PACKAGES if "@hookimpl" in (path / "__init__.py").read_text()}

    assert with_hooks == declared


def test_the_installed_distribution_has_the_same_entry_points() -> None:
    installed = {entry.name: entry.value for entry in metadata.distribution("mlcvbench").entry_points}

    declared = {**PROJECT["project"]["entry-points"]["mlcvbench"], **PROJECT["project"]["scripts"]}

    assert installed == declared


def test_every_package_is_typed_and_named_after_the_bench() -> None:
    for path in PACKAGES:
        assert path.name.startswith("mlcvbench_"), path
        assert (path / "py.typed").is_file(), path


def imported(folder: str) -> set[str]:
    """Return the top-level names of what the modules below a folder import, wherever in them."""
    names: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return {name for name in names - sys.stdlib_module_names if not name.startswith("mlcvbench")}


def declared(*extras: str) -> set[str]:
    """Return the names of the distributions that the project asks for, with some extras."""
    wanted = [*PROJECT["project"]["dependencies"]]
    for extra in extras:
        wanted += PROJECT["project"]["optional-dependencies"][extra]
    return {re.match(r"[\w.-]+", line)[0].lower().replace("_", "-") for line in wanted}


@pytest.mark.parametrize(
    ("folder", "extras"), [("mlcvbench", ("gpu",)), ("plugins", ()), ("tasks", ()), ("tests/core", ("gpu", "test"))]
)
def test_what_is_imported_is_declared(folder: str, extras: tuple[str, ...]) -> None:
    providers = metadata.packages_distributions()
    own = {"support", "nets", "hub"}  # tests write the last two
    found, asked = imported(folder) - own, declared(*extras)

    undeclared = {
        name
        for name in found
        if not asked & {one.lower().replace("_", "-") for one in providers.get(name, [OTHERWISE.get(name, name)])}
    }

    assert "numpy" in found
    assert undeclared == set()


def test_the_version_is_said_once() -> None:
    assert metadata.version("mlcvbench") == mlcvbench.__version__
    assert PROJECT["project"]["dynamic"] == ["version"]


@pytest.mark.parametrize("name", ["mlcvbench", *PROJECT["project"]["entry-points"]["mlcvbench"].values()])
def test_importing_a_package_imports_nothing_heavy(name: str) -> None:
    heavy = {"numpy", "torch", "torchvision", "timm", "scipy", "sklearn", "pandas", "cv2", "matplotlib", "pydantic"}
    code = f"import sys, {name}; print(sorted({heavy!r} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def sources() -> list[Path]:
    """Return every module of ours, some in each tree."""
    trees = [sorted((ROOT / name).rglob("*.py")) for name in ("mlcvbench", "plugins", "tasks")]
    assert all(len(tree) > 50 for tree in trees)
    return [path for tree in trees for path in tree]


def test_no_source_file_is_over_the_limit() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources()}

    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_no_module_is_a_drawer_for_anything() -> None:
    drawers = {"utils", "common", "helpers", "manager", "misc"}

    assert [path for path in sources() if path.stem in drawers] == []
