"""Settings that act only beside others, settings that name models, and settings that want the validation split."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from mlcvbench import hookimpl
from mlcvbench.contract import ArraySplit, LoadedData, Problem
from mlcvbench.errors import DataError, MlcvbenchError, OverrideError, PluginError, UnknownNameError
from mlcvbench.loading.data import fit_data
from mlcvbench.plan.command import command_of
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.planning import plan
from mlcvbench.registry import Registry, get_registry
from mlcvbench.registry.inner import inner_models, parse_inner
from mlcvbench.specs import ModelSpec, Param
from mlcvbench.specs.checks import check_spec

FIT = (
    Param("rule", "str", "adam", choices=("adam", "sgd", "heavy")),
    Param("momentum", "float", 0.9, when=(("rule", ("sgd", "heavy")),)),
    Param("stop", "bool", False, wants_val=(True,)),
    Param("patience", "int", 5, when=(("stop", (True,)),)),
)
NET = ModelSpec("net", ("classification",), "net:Net", "A net.", fit=FIT)
MANY = ModelSpec(
    "many", ("classification",), "net:Many", "Many nets.", params=(Param("base", "model", "net"), Param("count", "int"))
)


@pytest.fixture(scope="module")
def registry() -> Registry:
    installed = get_registry()
    ours = SimpleNamespace(mlcvbench_models=hookimpl(lambda: [NET, MANY]))
    ours.mlcvbench_models.__name__ = "mlcvbench_models"
    named = {origin.plugin: __import__(origin.package) for origin in installed.plugins}
    return Registry.of({**named, "ours": ours})


def configs(registry: Registry, *words: str) -> list[RunConfig]:
    return plan(["task=digits", *words], registry).configs


def refusal(registry: Registry, *words: str, kind: type[MlcvbenchError] = OverrideError) -> str:
    with pytest.raises(kind) as caught:
        configs(registry, *words)
    return str(caught.value)


def test_a_setting_that_does_nothing_beside_the_others_is_refused(registry):
    assert refusal(registry, "model=net", "fit.momentum=0.5") == (
        "key 'fit.momentum' has no effect: it needs fit.rule=sgd or heavy, got adam."
    )
    assert refusal(registry, "model=net,majority", "net.fit.patience=2") == (
        "key 'net.fit.patience' has no effect: it needs fit.stop=true, got false."
    )


def test_a_sweep_over_both_makes_no_run_twice(registry):
    runs = configs(registry, "model=net", "fit.rule=adam,sgd", "fit.momentum=0.5,0.8")

    assert [(run.fit["rule"], run.fit["momentum"]) for run in runs] == [("adam", 0.9), ("sgd", 0.5), ("sgd", 0.8)]
    assert [run.given for run in runs] == [("fit.rule",), ("fit.rule", "fit.momentum"), ("fit.rule", "fit.momentum")]


def test_a_condition_must_be_on_a_setting_declared_before():
    spec = ModelSpec("a", ("classification",), "a:A", "A.", params=(Param("x", "int", 1, when=(("y", (1,)),)),))

    with pytest.raises(PluginError) as caught:
        check_spec(spec)

    assert str(caught.value) == "ModelSpec 'a': parameter 'x': when: no setting 'y' is declared before it."


def test_a_setting_can_name_a_model_with_settings_of_its_own(registry):
    [run] = configs(registry, "model=many", "model.base=[knn,k=3]")

    inner = parse_inner(run.model_params["base"], "classification", registry=registry)

    assert run.model_params["base"] == "knn,k=3"
    assert (inner.spec.name, inner.params["k"], inner.package) == ("knn", 3, "mlcvbench_knn")
    assert [one.spec.name for one in inner_models(inner.spec, inner.params, "classification")] == []
    assert "model.base=[knn,k=3]" in command_of(run).replace("'", "")


def test_a_setting_can_name_a_model_that_names_another(registry):
    inner = parse_inner("many,base=[knn,k=7]", "classification", registry=registry)

    assert inner.params["base"] == "knn,k=7"


def test_models_that_do_not_exist_are_refused_before_anything_starts(registry):
    unknown = refusal(registry, "model=many", "model.base=kn", kind=UnknownNameError)

    assert unknown == "unknown classification model 'kn'. Did you mean 'knn'?"
    assert refusal(registry, "model=many", "model.base=[knn,kk=3]") == (
        "model.base=knn,kk=3: model 'knn' declares no setting 'kk'. Did you mean 'k'?"
    )
    assert refusal(registry, "model=many", "model.base=[many,base=[knn,k=x]]") == (
        "model.base: base: k=x: wanted a whole number of at least 1."
    )


def data(*names: str) -> LoadedData:
    def split(name: str) -> ArraySplit:
        return ArraySplit(name, {"image": np.zeros((2, 2, 2), np.uint8)}, {"label": np.arange(2)})

    problem = Problem("classification", ("a", "b"), {})
    return LoadedData("toy", "1", problem, {name: split(name) for name in names})


def test_validation_samples_train_unless_a_setting_chooses_on_them():
    whole = data("train", "val", "test")

    plain, choosing = fit_data(whole, NET, {"stop": False}), fit_data(whole, NET, {"stop": True})

    assert (len(plain.train), plain.val) == (4, None)
    assert (len(choosing.train), len(choosing.val)) == (2, 2)


def test_choosing_without_a_validation_split_is_refused():
    with pytest.raises(DataError) as caught:
        fit_data(data("train", "test"), NET, {"stop": True})

    assert str(caught.value) == "fit.stop=true chooses on a validation split, and data set 'toy' has none."
