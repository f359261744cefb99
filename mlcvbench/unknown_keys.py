"""What is wrong with a key that nobody understands, and the nearest one that does something."""

from __future__ import annotations

from collections.abc import Sequence

from mlcvbench.errors import OverrideError, did_you_mean
from mlcvbench.run_keys import REQUEST_KEYS, RUN_KEYS
from mlcvbench.search import SEARCH_KEYS
from mlcvbench.specs import DatasetSpec, ModelSpec


def unknown_key(
    key: str, models: Sequence[ModelSpec], dataset: DatasetSpec, others: Sequence[str], other_keys: Sequence[str] = ()
) -> OverrideError:
    """Return the error for a key of a request for `models`; `others` names all models of the task kind.

    `other_keys` are keys beyond those that every run takes.
    """
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
            known = [*REQUEST_KEYS, *RUN_KEYS, *SEARCH_KEYS, *other_keys]
            return OverrideError(f"unknown key {key!r}.{did_you_mean(key, known)}")
        return OverrideError(
            f"key {key!r} has no effect: model {other!r} is not among the chosen ones ({', '.join(chosen)})."
        )
    return OverrideError(f"key {key!r} has no effect: {owner} no such setting.{did_you_mean(key, known)}")
