"""The error for an unknown key, with the nearest one that has an effect."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import NamedTuple

from mlcvbench.errors import NEAR, OverrideError, did_you_mean, offer
from mlcvbench.plan.search import PLACES, SEARCH_KEYS
from mlcvbench.plan.vocabulary import REQUEST_KEYS, RUN_KEYS
from mlcvbench.specs import DatasetSpec, ModelSpec


class ScoreKeys(NamedTuple):
    """The keys of `mlcvbench score` beyond those of a run, and whether that command is being parsed."""

    names: Sequence[str]
    asked: bool


def unknown_key(
    key: str, models: Sequence[ModelSpec], dataset: DatasetSpec, others: Sequence[str], score_keys: ScoreKeys
) -> OverrideError:
    """Return the error for a key of a request for `models`; `others` names all models of the task kind."""
    place, _, name = key.partition(".")
    chosen = [model.name for model in models]
    if place in {"model", "fit"} and name:
        known = [f"{place}.{param.name}" for model in models for param in model.declared(place)]
        listed = ", ".join(map(repr, chosen))
        owner = f"models {listed} declare" if len(chosen) > 1 else f"model {listed} declares"
    elif place == "data" and name:
        known = ["data.seed", *(f"data.{param.name}" for param in dataset.params)]
        owner = f"data set {dataset.name!r} declares"
    elif own := next((model for model in models if key.startswith(f"{model.name}.")), None):
        known = [f"{own.name}.{param.name}" for param in own.params]
        known += [f"{own.name}.fit.{param.name}" for param in own.fit]
        owner = f"model {own.name!r} declares"
    else:
        other = next((name for name in others if key.startswith(f"{name}.")), None)
        if other is None:
            return _unknown_word(key, models, dataset, score_keys)
        return OverrideError(
            f"key {key!r} has no effect: model {other!r} is not among the chosen ones ({', '.join(chosen)})."
        )
    return OverrideError(f"key {key!r} has no effect: {owner} no such setting.{did_you_mean(key, known)}")


def _unknown_word(key: str, models: Sequence[ModelSpec], dataset: DatasetSpec, score_keys: ScoreKeys) -> OverrideError:
    """Return the error for a key without a place: what it lacks, or the nearest key."""
    if key in score_keys.names and not score_keys.asked:
        return OverrideError(f"unknown key {key!r}: it belongs to `mlcvbench score`, which reads predictions.")
    known = [*REQUEST_KEYS, *RUN_KEYS, *SEARCH_KEYS, *(score_keys.names if score_keys.asked else ())]
    meant: dict[str, list[str]] = {name: [name] for name in known}
    for setting in _settings(models, dataset):
        name = setting.partition(".")[2]
        if setting not in meant.setdefault(name, []):
            meant[name].append(setting)
    near = [key] if key in meant else difflib.get_close_matches(key, sorted(meant), cutoff=NEAR)
    if near:
        offered = dict.fromkeys(setting for name in near for setting in meant[name])
        return OverrideError(f"unknown key {key!r}.{offer(list(offered))}")
    command = "score" if score_keys.asked else "run"
    return OverrideError(f"unknown key {key!r}.{did_you_mean(key, known)} `mlcvbench {command} --help` lists them.")


def _settings(models: Sequence[ModelSpec], dataset: DatasetSpec) -> list[str]:
    """Return the settings that the models and the data set declare, with their places."""
    own = [f"{place}.{param.name}" for model in models for place in PLACES for param in model.declared(place)]
    return [*own, *(f"data.{param.name}" for param in dataset.params)]
