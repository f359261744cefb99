"""The declared settings: complete, and each without effect refused where it has none."""

from __future__ import annotations

import pytest

from mlcvbench.errors import OverrideError, RequestError
from mlcvbench.plan.planning import plan
from mlcvbench.specs import ModelSpec
from mlcvbench.specs.checks import check_spec
from mlcvbench_training.settings import (
    IMAGE_CHANGES,
    NEWTON,
    OPTIMIZERS,
    SCHEDULES,
    NetworkSettings,
    Settings,
    fit_params,
)


def planned(*words: str) -> dict[str, object]:
    [config] = plan(["task=digits", *words]).configs
    return config.fit


def test_declared_settings_are_those_of_the_loop_with_the_methods_defaults():
    defaults = Settings(lr=0.5)

    declared = {param.name: param.default for param in fit_params(defaults, (*OPTIMIZERS, NEWTON), backbone=True)}

    assert declared == {name: getattr(defaults, name) for name in Settings.__slots__}
    assert declared.keys() - {param.name for param in fit_params(defaults)} == {"damping", "newton_lr", "backbone_lr"}
    assert not {param.name for param in fit_params(defaults, without=IMAGE_CHANGES)} & set(IMAGE_CHANGES)


def test_without_defaults_each_setting_is_unset_and_the_declaration_is_valid():
    params = fit_params(None, (*OPTIMIZERS, NEWTON), backbone=True)

    check_spec(ModelSpec("a", ("classification",), "a:A", "A.", fit=params))
    assert {param.default for param in params} == {None}
    assert {param.name for param in params} == set(Settings.__slots__)


def test_settings_come_from_the_request_and_else_from_the_method():
    assert Settings.of({"lr": 0.1, "other": 3}, Settings(lr=1.0, epochs=7)) == Settings(lr=0.1, epochs=7)
    assert Settings.of({"milestones": [0.2]}, Settings()).milestones == (0.2,)


EFFECTIVE = {
    "momentum": ["optimizer=momentum", "optimizer=nesterov"],
    "beta": ["optimizer=rmsprop"],
    "beta1": ["optimizer=adam", "optimizer=adamw"],
    "beta2": ["optimizer=adam"],
    "eps": ["optimizer=adagrad", "optimizer=rmsprop", "optimizer=adam"],
    "batch": ["optimizer=gd", "optimizer=sgd"],
    "milestones": ["schedule=step", "schedule=warmup+step"],
    "gamma": ["schedule=step", "schedule=plateau"],
    "plateau_patience": ["schedule=plateau"],
    "final": ["schedule=cosine", "schedule=linear", "schedule=cyclic"],
    "cycles": ["schedule=cyclic"],
    "warmup": ["schedule=warmup+constant"],
    "peak": ["schedule=one_cycle"],
    "div": ["schedule=one_cycle"],
    "final_div": ["schedule=one_cycle"],
    "anneal": ["schedule=one_cycle"],
    "momentum_low": ["optimizer=nesterov"],
    "ema_decay": ["average=ema"],
    "swa_start": ["average=swa"],
    "patience": ["early_stopping=true"],
    "min_gain": ["early_stopping=true"],
    "cutout_size": ["cutout=any", "cutout=inside"],
    "label_smoothing": ["loss=cross_entropy"],
}
VALUES = {
    "milestones": "[0.2,0.4]",
    "anneal": "linear",
    "div": "2.0",
    "final_div": "2.0",
    **dict.fromkeys(("batch", "cycles", "cutout_size", "plateau_patience", "patience"), "3"),
}


IDLE = {
    "label_smoothing": "loss=squared",
    **dict.fromkeys(("beta1", "beta2", "eps"), "optimizer=sgd"),
    **dict.fromkeys(("batch", "momentum_low"), "optimizer=online_gd"),
    **dict.fromkeys(("peak", "div", "final_div", "anneal"), "schedule=cosine"),
}


@pytest.mark.parametrize("name", EFFECTIVE)
def test_a_setting_is_taken_where_it_acts_and_refused_where_it_does_not(name):
    value = VALUES.get(name, "0.5")
    for beside in EFFECTIVE[name]:
        fit = planned("model=small_cnn", f"fit.{beside}", f"fit.{name}={value}")
        assert str(fit[name]).replace(" ", "") == value

    idle = f"fit.{IDLE.get(name, 'schedule=constant')}"
    with pytest.raises(OverrideError, match=rf"^key 'fit\.{name}' has no effect: it needs fit\.\w+=.*, got .*\.$"):
        planned("model=small_cnn", "model.norm=none", idle, f"fit.{name}={value}")  # batch norm knows no online_gd


def test_the_refusal_names_what_it_needs_and_what_it_got():
    with pytest.raises(OverrideError) as caught:
        planned("model=small_cnn", "fit.momentum=0.5")

    assert str(caught.value) == (
        "key 'fit.momentum' has no effect: it needs fit.optimizer=momentum or nesterov, got adamw."
    )


def test_early_stopping_does_not_go_with_stochastic_weight_averaging():
    with pytest.raises(OverrideError) as caught:
        planned("model=small_cnn", "fit.average=swa", "fit.early_stopping=true")

    assert str(caught.value) == ("key 'fit.early_stopping' has no effect: it needs fit.average=none or ema, got swa.")


def test_a_full_batch_solver_has_three_settings_and_newton_a_few_more():
    assert planned("model=linear_softmax", "fit.l2=0.1", "fit.epochs=5", "fit.label_smoothing=0.1")["l2"] == 0.1
    assert planned("model=linear_softmax", "fit.optimizer=newton", "fit.damping=0.1", "fit.batch=9")["batch"] == 9
    for words in (("fit.lr=0.1",), ("fit.weight_decay=0.1",), ("fit.optimizer=newton", "fit.schedule=cosine")):
        with pytest.raises(OverrideError, match=r"has no effect: it needs fit\.optimizer="):
            planned("model=linear_softmax", *words)


def test_newton_is_offered_to_linear_models_only():
    with pytest.raises(OverrideError, match=r"^fit\.optimizer=newton: wanted one of gd, sgd, "):
        planned("model=small_cnn", "fit.optimizer=newton")


def test_the_names_are_those_of_the_course():
    assert {*OPTIMIZERS, NEWTON} == {
        *("gd", "sgd", "online_gd", "newton", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw")
    }
    assert set(SCHEDULES) >= {"constant", "step", "plateau", "cosine", "linear", "warmup+cosine", "one_cycle"}


def test_a_range_of_zooms_the_wrong_way_round_is_refused():
    with pytest.raises(RequestError, match=r"^fit\.scale=\[2,1\]: wanted the least zoom first, as \[1,2\]\.$"):
        NetworkSettings.of({"scale": [2.0, 1.0]}, NetworkSettings())
