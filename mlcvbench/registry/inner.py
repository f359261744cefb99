"""Models inside models: what a setting of type `model` names, for methods such as ensembles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlcvbench.errors import OverrideError, did_you_mean
from mlcvbench.registry import Registry, get_registry
from mlcvbench.specs import ModelSpec
from mlcvbench.specs.values import complete, effective, existing, missing, parse_setting, split_commas


@dataclass(frozen=True, slots=True)
class InnerModel:
    """A registered model and its complete `model.*` settings. `package`: the package of its code."""

    spec: ModelSpec
    params: dict[str, Any]
    package: str


def parse_inner(text: str, kind: str, key: str = "model", registry: Registry | None = None) -> InnerModel:
    """Return the model that `NAME` or `NAME,SETTING=VALUE,...` stands for.

    UnknownNameError when there is no such model for the task kind; OverrideError begins with `key`, and so does the
    DataError for a path that does not exist.
    """
    known = registry or get_registry()
    name, *words = [word.strip() for word in split_commas(text, key)]
    entry = known.runnable(name, kind)
    params = {param.name: param for param in entry.spec.params}
    given: dict[str, Any] = {}
    for word in words:
        setting, equals, value = word.partition("=")
        if not equals or setting not in params:
            hint = did_you_mean(setting, params)
            raise OverrideError(f"{key}={text}: model {name!r} declares no setting {setting!r}.{hint}")
        what = f"{key}: {setting}"
        given[setting] = existing(params[setting], parse_setting(params[setting], value, what), what)
        if params[setting].type == "model":
            parse_inner(given[setting], kind, f"{key}: {setting}", known)
    for lacking in missing(entry.spec.params, given):
        raise OverrideError(
            f"{key}={text}: model {name!r} needs {lacking.name}=VALUE; write [{name},{lacking.name}=VALUE]."
        )
    return InnerModel(entry.spec, complete(entry.spec.params, given), entry.origin.package)


def inner_models(
    spec: ModelSpec, params: Mapping[str, Any], kind: str, registry: Registry | None = None
) -> Iterator[InnerModel]:
    """Yield the models that a model's settings name, recursively."""
    for param in spec.params:
        if param.type == "model" and params.get(param.name):
            inner = parse_inner(params[param.name], kind, param.name, registry)
            yield inner
            yield from inner_models(inner.spec, inner.params, kind, registry)


def inner_fit(text: str, kind: str, settings: Mapping[str, Any], registry: Registry | None = None) -> dict[str, Any]:
    """Return the complete `fit.*` settings of the model that `text` names, with the given `settings` applied.

    OverrideError for a setting that it lacks, or that is inactive beside the others.
    """
    inner = parse_inner(text, kind, registry=registry)
    given = {name: value for name, value in settings.items() if value is not None}
    declared = {param.name for param in inner.spec.fit}
    _, reasons = effective(inner.spec.fit, given, "fit")
    for name in given:
        reason = reasons.get(name) if name in declared else "it declares no such setting"
        if reason is not None:
            raise OverrideError(f"key 'fit.{name}' has no effect on model {inner.spec.name!r}: {reason}.")
    return complete(inner.spec.fit, given)
