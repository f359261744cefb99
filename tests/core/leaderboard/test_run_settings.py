"""The settings on a run's page: those with an effect, as the command line takes them."""

from __future__ import annotations

from support.records import make_record

from mlcvbench.leaderboard.site.run_settings import settings_of


def record_of(model: str, params: dict[str, object], **fit: object):
    return make_record(model, seed=3, params=params, config={"given": [], "fit": fit})


def test_a_setting_that_does_nothing_beside_the_others_is_left_out():
    shown = settings_of(record_of("mlp", {"hidden": [64, 32]}, optimizer="adamw", lr=0.01, momentum=0.9, beta1=0.9))

    assert shown == {"hidden": "[64,32]", "fit.optimizer": "adamw", "fit.lr": "0.01", "fit.beta1": "0.9", "seed": "3"}


def test_what_it_needs_may_be_a_default_that_the_record_does_not_state():
    assert "fit.momentum" not in settings_of(record_of("mlp", {}, momentum=0.9))
    assert "fit.momentum" in settings_of(record_of("mlp", {}, optimizer="nesterov", momentum=0.9))


def test_settings_are_written_as_the_command_line_takes_them():
    shown = settings_of(record_of("mlp", {"standardise": False}, early_stopping=True))

    assert (shown["standardise"], shown["fit.early_stopping"]) == ("false", "true")


def test_all_settings_of_a_model_that_is_not_installed_are_shown_but_those_that_are_unset():
    shown = settings_of(record_of("strangers_net", {"width": 8, "seedling": None}, optimizer="adamw", momentum=0.9))

    assert shown == {"width": "8", "fit.optimizer": "adamw", "fit.momentum": "0.9", "seed": "3"}
