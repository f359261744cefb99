"""Parses `mlcvbench data COMMAND NAME KEY=VALUE ...`: data sets and their settings, one per task kind.

A name is a data set of one task kind, or of several with one each; or it is a definition, which fixes settings of its
data set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from mlcvbench.errors import (
    DataError,
    MlcvbenchError,
    OverrideError,
    RequestError,
    UnknownNameError,
    did_you_mean,
    said_by,
)
from mlcvbench.plan.vocabulary import RUN_KEYS
from mlcvbench.plan.words import parse_pairs, take
from mlcvbench.registry import Registry, get_registry
from mlcvbench.specs import DatasetSpec, Param
from mlcvbench.specs.values import complete, existing, missing, needs, parse_setting

TASK = Param("task", "str", help="task kind, of a data set that several have")
SEED = RUN_KEYS["data.seed"].param
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DataRequest:
    """A data set for one task kind: all its settings, and among these the `given` ones."""

    kind: str
    spec: DatasetSpec
    params: Mapping[str, Any]
    given: Mapping[str, Any]
    seed: int


def plan_data(
    name: str, settings: Sequence[str], own: Sequence[Param] = (), registry: Registry | None = None
) -> tuple[list[DataRequest], dict[str, Any]]:
    """Return the data sets that a name and KEY=VALUE words request, and the values of the command's `own` keys.

    UnknownNameError suggests the nearest names, OverrideError the nearest keys.
    """
    known = registry or get_registry()
    pairs = dict(parse_pairs(settings))
    keys = (*own, TASK, SEED)
    values = take(pairs, keys)
    found = _find(name, values[TASK.name], known)
    given: list[dict[str, Any]] = [{} for _ in found]
    for key, text in pairs.items():
        place, _, setting = key.partition(".")
        owners = [n for n, one in enumerate(found) if place == "data" and setting in one.declared]
        if not owners:
            raise _unknown(key, found, [param.name for param in keys])
        for number in owners:
            param = found[number].declared[setting]
            given[number][setting] = existing(param, parse_setting(param, text, key), key)
    requests = [
        DataRequest(
            kind=one.kind,
            spec=one.spec,
            params=_completed(one.spec, {**one.fixed, **own_settings}),
            given={**one.fixed, **own_settings},
            seed=values[SEED.name],
        )
        for one, own_settings in zip(found, given, strict=True)
    ]
    return requests, values


def guarded(request: DataRequest, doing: str, step: Callable[[], T]) -> T:
    """Run code of a data set or a task kind; any exception becomes a one-line error."""
    try:
        return step()
    except MlcvbenchError:
        raise
    except MemoryError:
        raise DataError(f"data set {request.spec.name!r} does not fit into memory.") from None
    except Exception as error:
        said = said_by(error)
        raise DataError(f"{doing} data set {request.spec.name!r} failed: {said}.") from error


@dataclass(frozen=True, slots=True)
class _Found:
    """What a name means for one task kind: a data set, and the settings that a definition fixes."""

    kind: str
    spec: DatasetSpec
    fixed: Mapping[str, Any]

    @property
    def declared(self) -> dict[str, Param]:
        return {param.name: param for param in self.spec.params}


def _find(name: str, kind: str | None, registry: Registry) -> list[_Found]:
    """Return what the name means for each task kind (for one, when given): data sets take precedence over
    definitions.
    """
    from mlcvbench.plan.definition_files import SUFFIXES, definition_files
    from mlcvbench.plan.definitions import load_definition, read_definition

    if kind is not None:
        registry.task(kind)
    specs = [entry.spec for entry in registry.datasets(kind) if entry.spec.name == name]
    if specs:
        kinds = {own: spec for spec in specs for own in spec.kinds if kind in {None, own}}
        return [_Found(own, kinds[own], {}) for own in sorted(kinds)]
    files = {own: paths for own, paths in definition_files(registry).items() if kind in {None, own}}
    if kind is not None and name in files[kind]:
        definition = read_definition(files[kind][name], registry)
    elif name.endswith(SUFFIXES) or name in files or any(name in paths for paths in files.values()):
        definition = load_definition(name, registry)
    else:
        known = {entry.spec.name for entry in registry.datasets(kind)} | {
            one for paths in files.values() for one in paths
        }
        raise UnknownNameError("data set" if kind is None else f"{kind} data set", name, known)
    if kind not in {None, definition.kind}:
        raise RequestError(f"task={kind}: the definition {name!r} is of task kind {definition.kind!r}.")
    return [_Found(definition.kind, registry.dataset(definition.dataset, definition.kind).spec, definition.data)]


def _unknown(key: str, found: Sequence[_Found], keys: Sequence[str]) -> OverrideError:
    """Return the error for a key that nothing takes, with the nearest known one."""
    place, _, name = key.partition(".")
    settings = [f"data.{own}" for one in found for own in one.declared]
    if place == "data" and name:
        hint = did_you_mean(key, [*settings, SEED.name])
        return OverrideError(
            f"key {key!r} has no effect: data set {found[0].spec.name!r} declares no such setting.{hint}"
        )
    return OverrideError(f"unknown key {key!r}.{did_you_mean(key, [*keys, *settings])}")


def _completed(spec: DatasetSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings of the data set; OverrideError names a missing required one."""
    for param in missing(spec.params, given):
        raise needs(f"data set {spec.name!r}", "data", param)
    return complete(spec.params, given)
