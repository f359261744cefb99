"""The names of an open-ended model: offered for a name without its prefix, remembered, never needed."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from support.plugins import install, toy_registry

from mlcvbench.errors import UnknownNameError
from mlcvbench.registry import Registry
from mlcvbench.registry.open_names import read_names, remembered_names
from mlcvbench.storage import cache

HUB = """
from mlcvbench import ModelSpec, hookimpl

@hookimpl
def mlcvbench_models():
    return [
        ModelSpec("hub:", ("classification",), "hub.models:Hub", "A hub.", names="hub.models:names"),
        ModelSpec("yard:", ("classification",), "hub.models:Hub", "Another.", names="hub.models:yard"),
        ModelSpec("small_cnn", ("classification",), "hub.models:Hub", "One."),
    ]
"""
MODELS = """
from pathlib import Path

def names():
    with Path(__file__).with_name("asked").open("a") as file:
        file.write("x")
    return ["resnet10t", "tiny_vit"]

def yard():
    return ["resnet10t", "regnet_y"]
"""


@pytest.fixture
def registry(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry of two hubs and a model, with a cache of its own."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    install(site, "hub", {"hub/__init__.py": HUB, "hub/models.py": MODELS})
    return toy_registry(site)


def refusal(registry: Registry, name: str) -> str:
    with pytest.raises(UnknownNameError) as caught:
        registry.model(name, "classification")
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("tiny_vit", "Did you mean 'hub:tiny_vit'?"),
        ("resnet10t", "Did you mean 'hub:resnet10t' or 'yard:resnet10t'?"),
        ("smal_cnn", "Did you mean 'small_cnn'?"),
        ("regnety", "Did you mean 'yard:regnet_y', 'hub:resnet10t' or 'yard:resnet10t'?"),
        ("qqqq", "Known: hub:, small_cnn, yard:."),
    ],
)
def test_a_name_that_a_hub_knows_is_offered_with_its_prefix(registry: Registry, name: str, hint: str):
    assert refusal(registry, name) == f"unknown classification model {name!r}. {hint}"


def test_a_library_is_asked_once_for_its_names(registry: Registry, site: Path):
    for _ in range(3):
        refusal(registry, "tiny_vit")

    assert (site / "hub/asked").read_text() == "x"


def test_a_library_that_cannot_be_imported_offers_nothing(registry: Registry, site: Path):
    (site / "hub/models.py").write_text("raise OSError('no library')")

    assert refusal(registry, "smal_cnn") == "unknown classification model 'smal_cnn'. Did you mean 'small_cnn'?"


def test_a_cache_that_cannot_be_written_costs_time_alone(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "file" / "cache"))

    assert refusal(registry, "tiny_vit").endswith("Did you mean 'hub:tiny_vit'?")


def test_nothing_is_remembered_of_a_library_that_was_never_asked(registry: Registry):
    entry = registry.model("hub:", "classification")

    assert remembered_names(entry.spec, entry.origin) == []
    assert read_names(entry.spec, entry.origin) == ["resnet10t", "tiny_vit"]
    assert remembered_names(entry.spec, entry.origin) == ["resnet10t", "tiny_vit"]


def test_a_name_that_is_remembered_is_not_asked_of_the_library_again(registry: Registry, site: Path) -> None:
    registry.model("hub:tiny_vit", "classification")
    registry.model("hub:resnet10t", "classification")

    assert (site / "hub" / "asked").read_text() == "x"


def test_a_name_that_is_not_remembered_is_asked_of_the_library(registry: Registry, site: Path) -> None:
    registry.model("hub:tiny_vit", "classification")
    models = site / "hub" / "models.py"
    models.write_text(MODELS.replace('"tiny_vit"', '"tiny_vit", "newer"'))
    import hub.models

    importlib.reload(hub.models)

    assert registry.model("hub:newer", "classification").spec.name == "hub:newer"
    with pytest.raises(UnknownNameError, match="newest"):
        registry.model("hub:newest", "classification")
