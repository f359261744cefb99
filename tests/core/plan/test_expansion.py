"""A model's own check of its settings: when it is asked, what it is told, and what becomes of a broken one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.plugins import install, install_toy_task, toy_registry

from mlcvbench.cli import main
from mlcvbench.errors import MlcvbenchError, PluginError, RequestError
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.planning import plan
from mlcvbench.registry import Registry, using

SPECS = """
from mlcvbench import ModelSpec, Param, hookimpl

EPOCHS = Param("epochs", "int", 10, low=1)

def spec(name, check, *params, epochs=EPOCHS):
    return ModelSpec(name, ("classification",), "nets.nets:Net", "A net.", params=params, fit=(epochs,), check=check)

@hookimpl
def mlcvbench_models():
    base, teacher = Param("base", "model", "narrow"), Param("teacher", "model", "narrow")
    unset = Param("epochs", "int", None, low=1)
    return [
        spec("narrow", "nets.checks:narrow", Param("width", "int", 4, low=1)),
        spec("pair", "nets.checks:told", base, teacher, epochs=unset),
        spec("any:", "nets.checks:told"),
        spec("raising", "nets.checks:raising"),
        spec("lacking", "nets.checks:lacking"),
    ]
"""
CHECKS = """
from mlcvbench.errors import RequestError

TOLD = []

def told(chosen):
    TOLD.append((chosen.name, chosen.kind, dict(chosen.params), dict(chosen.fit)))

def narrow(chosen):
    told(chosen)
    if chosen.params["width"] * chosen.fit["epochs"] > 100:
        raise RequestError(f"{chosen.name}: too much; set a smaller model.width.")

def raising(chosen):
    return chosen.params["missing"]
"""
TOO_MUCH = "narrow: too much; set a smaller model.width."


@pytest.fixture
def nets(site: Path) -> Iterator[Registry]:
    """A registry of the toy task and of models that are checked."""
    install_toy_task(site)
    install(site, "nets", {"nets/__init__.py": SPECS, "nets/checks.py": CHECKS})
    with using(toy_registry(site)) as registry:
        yield registry


def configs(registry: Registry, words: str) -> list[RunConfig]:
    return plan(["task=small", *words.split()], registry).configs


def refusal(registry: Registry, words: str, kind: type[MlcvbenchError] = RequestError) -> str:
    with pytest.raises(kind) as caught:
        configs(registry, words)
    return str(caught.value)


def told() -> list[tuple[object, ...]]:
    import nets.checks

    return nets.checks.TOLD


def test_a_check_is_told_the_complete_settings_of_each_run(nets: Registry):
    configs(nets, "model=narrow,any:thing narrow.width=1,2 fit.epochs=3")

    assert told() == [
        ("narrow", "classification", {"width": 1}, {"epochs": 3}),
        ("narrow", "classification", {"width": 2}, {"epochs": 3}),
        ("any:thing", "classification", {}, {"epochs": 3}),
    ]


def test_what_a_check_refuses_is_not_planned(nets: Registry):
    assert refusal(nets, "model=floor,narrow narrow.width=2,20") == TOO_MUCH


def test_the_first_model_inside_another_is_asked_with_its_fit_settings_and_the_others_with_their_own(nets: Registry):
    configs(nets, "model=pair model.base=[narrow,width=1] model.teacher=[narrow,width=2] fit.epochs=7")

    assert [(name, params.get("width"), fit) for name, _, params, fit in told()] == [
        ("pair", None, {"epochs": 7}),
        ("narrow", 1, {"epochs": 7}),
        ("narrow", 2, {"epochs": 10}),
    ]
    assert refusal(nets, "model=pair model.base=[pair,base=[narrow,width=20]]") == TOO_MUCH
    assert refusal(nets, "model=pair model.teacher=[narrow,width=20]") == TOO_MUCH


def test_in_a_search_nothing_is_asked_for_a_candidate_that_fails_is_part_of_it(nets: Registry):
    [config] = configs(nets, "model=narrow model.width=2,20 select=grid")

    assert config.search is not None
    assert "nets.checks" not in sys.modules


def test_a_check_that_fails_itself_is_a_fault_of_its_plugin(nets: Registry):
    assert refusal(nets, "model=raising", PluginError) == (
        "model 'raising': its check 'nets.checks:raising' raised KeyError: 'missing'."
    )
    assert refusal(nets, "model=lacking", PluginError) == (
        "module 'nets.checks' has no attribute 'lacking', named by a plugin's target."
    )


def test_the_doctor_finds_a_check_that_is_not_there(nets: Registry, capsys: pytest.CaptureFixture[str]):
    with using(nets):
        assert main(["plugin", "doctor"]) == 1

    assert "module 'nets.checks' has no attribute 'lacking', named by a plugin's target.\n" in capsys.readouterr().out
