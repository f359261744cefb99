"""Whose code belongs to a run's key: that of its plugin and of what this imports of the bench, and no other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from support.runs import config_for

from mlcvbench.plan import sources
from mlcvbench.plan.identity import compute_fit_key, compute_run_key
from mlcvbench.plan.sources import source_hash, sources_of

DATA = "d" * 64


def test_a_changed_source_file_changes_the_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, body in (("first", "x = 1\n"), ("second", "x = 2\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)

    assert source_hash("first") != source_hash("second")
    assert source_hash("no_such_package") is None


@pytest.mark.parametrize(
    ("words", "same"),
    [
        (("model=majority",), True),
        (("model=knn",), True),
        (("model=small_cnn",), False),
        (("model=ensemble", "model.base=small_cnn"), False),
    ],
)
def test_the_training_library_belongs_to_the_runs_of_methods_that_import_it(
    words: tuple[str, ...], same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_for(*words)
    before = compute_run_key(config, DATA), compute_fit_key(config, DATA)

    def edited(package: str) -> str | None:
        return "edited" if package == "mlcvbench_training" else source_hash(package)

    monkeypatch.setattr(sources, "source_hash", edited)

    run_key, fit_key = before
    assert (compute_run_key(config, DATA) == run_key, compute_fit_key(config, DATA) == fit_key) == (same, same)


def write(root: Path, packages: Mapping[str, str]) -> None:
    for name, text in packages.items():
        (root / name).mkdir(exist_ok=True)
        (root / name / "__init__.py").write_text(text)


def test_what_a_library_imports_counts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path,
        {
            "mlcvbench_family": "def build():\n    from mlcvbench_layers.blocks import Block\n    return Block\n",
            "mlcvbench_layers": "import numpy, mlcvbench_loops.loop\nfrom . import blocks\n",
            "mlcvbench_loops": "import mlcvbench_layers\n",
            "mlcvbench_other": "",
        },
    )
    (tmp_path / "mlcvbench_layers" / "blocks.py").write_text("class Block: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = sources_of(["mlcvbench_family"], ())

    write(tmp_path, {"mlcvbench_loops": "import mlcvbench_layers  # once more\n", "mlcvbench_other": "x = 1\n"})

    after = sources_of(["mlcvbench_family"], ())
    assert list(before) == ["mlcvbench_family", "mlcvbench_layers", "mlcvbench_loops"]
    assert [name for name in before if before[name] != after[name]] == ["mlcvbench_loops"]


def test_plugins_of_others_that_import_each_other_are_known_by_the_code_of_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"acme": "import emca, plain\n", "emca": "import acme\n", "plain": ""})
    monkeypatch.syspath_prepend(tmp_path)

    assert list(sources_of(["acme"], {"acme", "emca"})) == ["acme", "emca"]
    assert list(sources_of(["acme"], {"acme"})) == ["acme"]


@pytest.mark.parametrize(
    "text",
    [
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import mlcvbench_types\n",
        "import typing\nif typing.TYPE_CHECKING:\n    from mlcvbench_types import Kind\n",
        "import mlcvbench_types it is no Python\n",
    ],
)
def test_what_never_runs_is_not_imported(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"mlcvbench_user": text, "mlcvbench_types": ""})
    monkeypatch.syspath_prepend(tmp_path)

    assert list(sources_of(["mlcvbench_user"], ())) == ["mlcvbench_user"]


def test_what_stands_instead_of_types_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    import mlcvbench_types\n"
    write(tmp_path, {"mlcvbench_user": text, "mlcvbench_types": ""})
    monkeypatch.syspath_prepend(tmp_path)

    assert list(sources_of(["mlcvbench_user"], ())) == ["mlcvbench_types", "mlcvbench_user"]
