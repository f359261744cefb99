"""The settings of a run for its page: the active ones, written as the command line takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlcvbench.errors import short_digests
from mlcvbench.records.schema import Record
from mlcvbench.registry import get_registry
from mlcvbench.specs import ModelSpec
from mlcvbench.specs.values import effective, text


def settings_of(record: Record) -> dict[str, str]:
    """Return the settings of a record's model and fit, among them those that a search chose, and its seed.

    Inactive ones, such as `fit.momentum` beside adam, are left out; all are listed when the model is not installed,
    since only its spec tells which are inactive.
    """
    fit = record.selection.fit if record.selection else record.config.get("fit")
    spec = _spec_of(record)
    shown = {
        **_effective(spec, "model", record.model.params),
        **{f"fit.{name}": value for name, value in _effective(spec, "fit", fit or {}).items()},
        "seed": record.seed,
    }
    return {name: short_digests(text(value)) for name, value in shown.items() if value is not None}


def _spec_of(record: Record) -> ModelSpec | None:
    """Return the spec that matches the model's name, without checking that a library has such a network."""
    name = record.model.name
    specs = [entry.spec for entry in get_registry().models(record.task.kind)]
    return next((s for s in specs if name == s.name or (s.name.endswith(":") and name.startswith(s.name))), None)


def _effective(spec: ModelSpec | None, place: str, values: Mapping[str, Any]) -> dict[str, Any]:
    if spec is None:
        return dict(values)
    return effective(spec.declared(place), values, place)[0]
