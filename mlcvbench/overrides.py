"""The grammar of `mlcvbench run KEY=VALUE[,VALUE] ...`: from words to resolved runs, or one sentence why not.

Keys are the run keys below, `model.*`, `fit.*` and `data.*` as the chosen specs declare them, and `NAME.*` for one
of several models. Commas sweep, brackets protect them; with `select=` those of a model's settings are one run's search
(see `search.py`). Nothing is started before every key has been understood.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlcvbench.config import Definition, RunConfig
from mlcvbench.definitions import TASK_MARK, definition_files, load_definition
from mlcvbench.errors import DataError, OverrideError, RequestError, did_you_mean
from mlcvbench.inner import inner_fit, inner_models, parse_inner
from mlcvbench.limits import MAX_RUNS
from mlcvbench.registry import Registry, get_registry
from mlcvbench.run_keys import RUN_KEYS
from mlcvbench.search import (
    PLACES,
    SEARCH_KEYS,
    Range,
    SearchRequest,
    candidates,
    check_request,
    parse_range,
    take_request,
)
from mlcvbench.settings import complete, parse_setting, split_commas, unmet
from mlcvbench.specs import DatasetSpec, ModelSpec, Param

DEFAULT_OUT = "runs"


REQUEST_KEYS = ("task", "model", "data", "out")
"""Keys that choose what is run, and where records go."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request asks for: the runs, in order, the folder of their records and the benchmark."""

    configs: list[RunConfig]
    out: Path
    definition: Definition


def parse_pairs(args: Sequence[str]) -> list[tuple[str, str]]:
    """Split `KEY=VALUE` words; OverrideError when one is not of that form, is empty, or its key is given twice.

    >>> parse_pairs(["model=knn", "model.k=1,3"])
    [('model', 'knn'), ('model.k', '1,3')]
    """
    pairs: list[tuple[str, str]] = []
    for word in args:
        key, equals, value = word.partition("=")
        if not equals or not key.strip():
            hint = f" Did you mean 'task={word}'?" if word and equals == "" and word.isidentifier() else ""
            raise OverrideError(f"{word!r}: wanted KEY=VALUE, such as model=knn.{hint}")
        if not value.strip():
            raise OverrideError(f"{key}: the value is empty; wanted KEY=VALUE, such as model=knn.")
        if any(key == known for known, _ in pairs):
            raise OverrideError(f"key {key!r} is given twice; a sweep is written {key}=A,B.")
        pairs.append((key.strip(), value.strip()))
    return pairs


def plan(args: Sequence[str], registry: Registry | None = None, *, outside: str | None = None) -> Plan:
    """Return the runs that `args` ask for.

    `outside` names a model that no plugin provides, of which there are only predictions, or which is live.
    OverrideError names a key that is unknown, given twice, without effect or of the wrong type; UnknownNameError a
    task, model or data set; RequestError what does not go together.
    """
    known = registry or get_registry()
    pairs = dict(parse_pairs(args))
    out = _single("out", pairs.pop("out", DEFAULT_OUT))
    search = take_request(pairs)
    definition = _definition(pairs.pop("task", None), pairs.pop("data", None), known)
    dataset = known.dataset(definition.dataset, definition.kind).spec
    if outside is None:
        models = _models(pairs.pop("model", None), definition, dataset, known)
    else:
        models = [ModelSpec(outside, (definition.kind,), target="", summary="", needs=())]
    request = _Request(known, definition, models, pairs, search)
    return Plan(request.configs(), Path(out).expanduser(), definition)


def _single(key: str, value: str) -> str:
    parts = split_commas(value)
    if len(parts) > 1:
        raise OverrideError(f"{key}={value}: wanted one value; {key} does not sweep.")
    return value


def _definition(task: str | None, data: str | None, registry: Registry) -> Definition:
    """Return the benchmark: what `task=` names, or the benchmark of its kind for the data set that `data=` names."""
    kinds = [entry.spec.name for entry in registry.tasks()]
    if task is None:
        listed = f": {', '.join(kinds)}" if kinds else ""
        raise OverrideError(f"no task is given; say task=NAME with a task{listed}, a definition's name or a YAML file.")
    definition = load_definition(_single("task", task), registry)
    if data is None or _single("data", data) == definition.dataset:
        return definition
    spec = registry.dataset(data, definition.kind).spec
    if task == definition.kind and data in definition_files(registry)[definition.kind]:
        own = load_definition(data, registry)
        if own.dataset == data:
            return own
    return replace(
        definition,
        name=f"{definition.name}{TASK_MARK}{data}",
        title=data,
        summary=spec.summary,
        dataset=data,
        data={},
    )


def _models(named: str | None, definition: Definition, dataset: DatasetSpec, registry: Registry) -> list[ModelSpec]:
    """Return the models that `model=` names, or the definition's starter models."""
    names = list(dict.fromkeys(split_commas(named))) if named else list(definition.models)
    if not names:
        raise RequestError(f"definition {definition.name!r} names no starter models; say model=NAME.")
    models = [registry.model(name, definition.kind).spec for name in names]
    for model in models:
        _check_inputs(model, dataset)
    return models


def _check_inputs(model: ModelSpec, dataset: DatasetSpec) -> None:
    missing = [need for need in model.needs if need not in dataset.provides]
    if missing:
        raise RequestError(
            f"model {model.name!r} needs {', '.join(model.needs)}; "
            f"data set {dataset.name!r} provides {', '.join(dataset.provides)}."
        )


class _Request:
    """The words after the benchmark and the models are known: each is understood once, or refused."""

    def __init__(
        self,
        registry: Registry,
        definition: Definition,
        models: Sequence[ModelSpec],
        pairs: dict[str, str],
        search: SearchRequest | None = None,
    ) -> None:
        self.registry, self.definition, self.models, self.search = registry, definition, models, search
        self.dataset = registry.dataset(definition.dataset, definition.kind).spec
        self.run: dict[str, list[Any]] = {}
        self.data: dict[str, list[Any]] = {}
        self.shared: dict[tuple[str, str], str] = {}
        self.named: dict[tuple[str, str, str], str] = {}
        self.used: set[str] = set()
        self.keys: dict[tuple[str, str, str], str] = {}
        self.active: set[str] = set()
        self.idle: dict[str, str] = {}
        for key, value in pairs.items():
            self._sort(key, value)

    def configs(self) -> list[RunConfig]:
        """Return the runs: model by model, sweeps as products, equal ones once."""
        self._check_required(self.dataset.params, "data", self.dataset.name, {**self.definition.data, **self.data})
        grids = [(model, self._grid(model)) for model in self.models]
        for place, name in self.shared:
            if f"{place}.{name}" not in self.used:
                raise self._ineffective(f"{place}.{name}")
        spaces = {model.name: self._take_space(grid) for model, grid in grids}
        total = sum(_size(grid) for _, grid in grids)
        if total > MAX_RUNS:
            raise RequestError(f"the request asks for {total} runs; the most is {MAX_RUNS}.")
        found: dict[str, RunConfig] = {}
        for model, grid in grids:
            for values in itertools.product(*grid.values()):
                config = self._config(model, dict(zip(grid, values, strict=True)), spaces[model.name])
                found.setdefault(json.dumps(config.to_dict(), sort_keys=True), config)
        for key, reason in self.idle.items():
            if key not in self.active:
                raise OverrideError(f"key {key!r} has no effect: {reason}.")
        return list(found.values())

    def _sort(self, key: str, value: str) -> None:
        """Put one word where it belongs."""
        place, _, name = key.partition(".")
        owner = max((m.name for m in self.models if key.startswith(f"{m.name}.")), key=len, default=None)
        if key in RUN_KEYS:
            run_key = RUN_KEYS[key]
            texts = split_commas(value) if run_key.sweeps else [_single(key, value)]
            self.run[key] = [existing(run_key.param, parse_setting(run_key.param, text, key), key) for text in texts]
        elif place == "data" and (param := _find(self.dataset.params, name)):
            texts = split_commas(value)
            self.data[name] = [existing(param, parse_setting(param, text, key), key) for text in texts]
        elif place in {"model", "fit"} and any(_find(_params(m, place), name) for m in self.models):
            self.shared[place, name] = value
        elif owner is not None:
            inner = key.removeprefix(f"{owner}.")
            inner_place = "fit" if inner.startswith("fit.") else "model"
            self.named[owner, inner_place, inner.removeprefix("fit.")] = value
        else:
            raise self._unknown(key)

    def _grid(self, model: ModelSpec) -> dict[tuple[str, str], list[Any]]:
        """Return the values of each setting for one model; the keys are (place, name) in the order of the sweep."""
        grid: dict[tuple[str, str], list[Any]] = {}
        for place in ("model", "fit"):
            given: dict[str, list[Any]] = {}
            for param in _params(model, place):
                key = f"{model.name}.{param.name}" if place == "model" else f"{model.name}.fit.{param.name}"
                value = self.named.get((model.name, place, param.name))
                if value is None:
                    key, value = f"{place}.{param.name}", self.shared.get((place, param.name))
                if value is not None:
                    self.used.add(key)
                    self.keys[model.name, place, param.name] = key
                    drawn = parse_range(param, value, key, self.search)
                    given[param.name] = [drawn] if drawn else [self._value(param, t, key) for t in split_commas(value)]
            self._check_required(_params(model, place), place, model.name, given)
            grid |= {(place, name): values for name, values in given.items()}
        for owner, place, name in self.named:
            if owner == model.name and not _find(_params(model, place), name):
                raise self._unknown(f"{owner}.{'fit.' if place == 'fit' else ''}{name}")
        grid |= {("data", name): values for name, values in self.data.items()}
        # Seeds turn fastest, so that the runs of a seed group stand together.
        return grid | {("run", key): self.run[key] for key in sorted(self.run, key=lambda key: key == "seed")}

    def _value(self, param: Param, text: str, key: str) -> Any:
        """Return one value of a model's or fit's setting; the model that it may name must fit the data."""
        value = existing(param, parse_setting(param, text, key), key)
        if param.type == "model":
            inner = parse_inner(value, self.definition.kind, key, self.registry)
            for one in (inner, *inner_models(inner.spec, inner.params, self.definition.kind)):
                _check_inputs(one.spec, self.dataset)
        return value

    def _take_space(self, grid: dict[tuple[str, str], list[Any]]) -> dict[str, list[Any]]:
        """Take the settings that the runs are to search out of a grid; none without `select=`."""
        if self.search is None:
            return {}
        taken = [
            (place, name)
            for (place, name), values in grid.items()
            if place in PLACES and (len(values) > 1 or isinstance(values[0], Range))
        ]
        return {f"{place}.{name}": grid.pop((place, name)) for place, name in taken}

    def _config(self, model: ModelSpec, values: dict[tuple[str, str], Any], space: dict[str, list[Any]]) -> RunConfig:
        chosen = {
            place: {name: v for (p, name), v in values.items() if p == place}
            for place in ("model", "fit", "data", "run")
        }
        if self.search is None:
            for place in PLACES:
                self._drop_idle(model, place, chosen[place])
        config = self._resolved(model, chosen)
        return config if self.search is None else self._searching(model, config, self.search, space)

    def _searching(
        self, model: ModelSpec, config: RunConfig, request: SearchRequest, space: dict[str, list[Any]]
    ) -> RunConfig:
        """Return the run that chooses among `space`; note which of its settings have an effect in some candidate."""
        search = request.over(space)
        check_request(search, model)
        config = replace(
            config,
            model_params={name: v for name, v in config.model_params.items() if f"model.{name}" not in space},
            fit={name: v for name, v in config.fit.items() if f"fit.{name}" not in space},
            given=tuple(sorted({*config.given, *space}, key=lambda key: not key.startswith("model."))),
            search=search,
        )
        tried = candidates(config, model)
        for place in PLACES:
            settings = [one.model_params if place == "model" else one.fit for one in tried]
            for param in _params(model, place):
                key = self.keys.get((model.name, place, param.name))
                reasons = [unmet(param, values, place) for values in settings]
                if key is not None and None in reasons:
                    self.active.add(key)
                elif key is not None:
                    self.idle.setdefault(key, str(reasons[0]))
        return config

    def _resolved(self, model: ModelSpec, chosen: dict[str, dict[str, Any]]) -> RunConfig:
        params, fit = complete(model.params, chosen["model"]), complete(model.fit, chosen["fit"])
        if fitted := next((params[param.name] for param in model.params if param.type == "model"), None):
            inner_fit(fitted, self.definition.kind, fit, self.registry)
        return RunConfig(
            definition=self.definition,
            model=model.name,
            model_params=params,
            fit=fit,
            data_params=complete(self.dataset.params, {**self.definition.data, **chosen["data"]}),
            given=tuple(f"{place}.{name}" for place in ("model", "fit", "data") for name in chosen[place]),
            **{key.field: chosen["run"].get(name, key.param.default) for name, key in RUN_KEYS.items()},
        )

    def _drop_idle(self, model: ModelSpec, place: str, given: dict[str, Any]) -> None:
        """Take out the settings that do nothing beside the others, so that a sweep over both makes no run twice."""
        for param in _params(model, place):
            if param.name not in given:
                continue
            key = self.keys[model.name, place, param.name]
            reason = unmet(param, complete(_params(model, place), given), place)
            if reason is None:
                self.active.add(key)
            else:
                self.idle.setdefault(key, reason)
                del given[param.name]

    def _check_required(self, params: Sequence[Param], place: str, owner: str, given: dict[str, Any]) -> None:
        for param in params:
            if param.required and param.name not in given:
                what = "data set" if place == "data" else "model"
                help_text = f" ({param.help})" if param.help else ""
                raise OverrideError(f"{what} {owner!r} needs {place}.{param.name}={param.type.upper()}{help_text}.")

    def _unknown(self, key: str) -> OverrideError:
        """Say what is wrong with a key that no one understands, with the nearest that does something."""
        place, _, name = key.partition(".")
        chosen = [model.name for model in self.models]
        if place in {"model", "fit"} and name:
            known = [f"{place}.{param.name}" for model in self.models for param in _params(model, place)]
            listed = ", ".join(map(repr, chosen))
            owner = f"models {listed} declare" if len(chosen) > 1 else f"model {listed} declares"
        elif place == "data" and name:
            known = ["data.seed", *(f"data.{param.name}" for param in self.dataset.params)]
            owner = f"data set {self.dataset.name!r} declares"
        elif own := next((model for model in self.models if key.startswith(f"{model.name}.")), None):
            known = [f"{own.name}.{param.name}" for param in own.params]
            known += [f"{own.name}.fit.{param.name}" for param in own.fit]
            owner = f"model {own.name!r} declares"
        else:
            others = [entry.spec.name for entry in self.registry.models(self.definition.kind)]
            other = next((name for name in others if key.startswith(f"{name}.")), None)
            if other is None:
                return OverrideError(
                    f"unknown key {key!r}.{did_you_mean(key, [*REQUEST_KEYS, *RUN_KEYS, *SEARCH_KEYS])}"
                )
            return OverrideError(
                f"key {key!r} has no effect: model {other!r} is not among the chosen ones ({', '.join(chosen)})."
            )
        return OverrideError(f"key {key!r} has no effect: {owner} no such setting.{did_you_mean(key, known)}")

    def _ineffective(self, key: str) -> OverrideError:
        return OverrideError(f"key {key!r} has no effect: every model that has it is given its own value.")


def _params(model: ModelSpec, place: str) -> tuple[Param, ...]:
    return model.fit if place == "fit" else model.params


def _find(params: Sequence[Param], name: str) -> Param | None:
    return next((param for param in params if param.name == name), None)


def _size(grid: dict[tuple[str, str], list[Any]]) -> int:
    total = 1
    for values in grid.values():
        total *= len(values)
    return total


def existing(param: Param, value: Any, key: str) -> Any:
    """Return `value`; DataError when it is a path that does not exist."""
    if param.type == "path" and not os.path.exists(value):  # noqa: PTH110 - value is text
        raise DataError(f"{key}={value}: no such file or folder.")
    return value
