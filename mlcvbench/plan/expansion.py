"""From the words of a request to its runs, once benchmark and models are known: grids, sweeps, searches."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mlcvbench.errors import OverrideError, RequestError
from mlcvbench.limits import MAX_RUNS
from mlcvbench.plan.config import Definition, RunConfig
from mlcvbench.plan.reading import reading_names
from mlcvbench.plan.search import PLACES, Range, SearchRequest, candidates, check_request, parse_range
from mlcvbench.plan.unknown_keys import ScoreKeys, unknown_key
from mlcvbench.plan.vocabulary import RUN_KEYS
from mlcvbench.registry import Registry
from mlcvbench.registry.inner import inner_fit, inner_models, parse_inner
from mlcvbench.specs import Chosen, ModelSpec, Param
from mlcvbench.specs.checks import check_inputs, refuse_settings
from mlcvbench.specs.values import complete, existing, parse_setting, single, split_commas, unmet


class Request:
    """The words after the benchmark and the models are known: each is understood once, or refused.

    `reads`: the settings with which predictions are read were understood before; a misspelt one is offered them.
    """

    def __init__(
        self,
        registry: Registry,
        definition: Definition,
        models: Sequence[ModelSpec],
        pairs: dict[str, str],
        search: SearchRequest | None = None,
        reads: bool = False,
    ) -> None:
        self.registry, self.definition, self.models, self.search = registry, definition, models, search
        self.dataset = registry.dataset(definition.dataset, definition.kind).spec
        self.reads = reads
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
                key = f"{place}.{name}"
                raise OverrideError(f"key {key!r} has no effect: every model that has it is given its own value.")
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
            texts = split_commas(value, key) if run_key.sweeps else [single(key, value)]
            self.run[key] = [existing(run_key.param, parse_setting(run_key.param, text, key), key) for text in texts]
        elif place == "data" and (param := _find(self.dataset.params, name)):
            texts = split_commas(value, key)
            self.data[name] = [existing(param, parse_setting(param, text, key), key) for text in texts]
        elif place in {"model", "fit"} and any(_find(m.declared(place), name) for m in self.models):
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
            for param in model.declared(place):
                key = f"{model.name}.{param.name}" if place == "model" else f"{model.name}.fit.{param.name}"
                value = self.named.get((model.name, place, param.name))
                if value is None:
                    key, value = f"{place}.{param.name}", self.shared.get((place, param.name))
                if value is not None:
                    self.used.add(key)
                    self.keys[model.name, place, param.name] = key
                    drawn = parse_range(param, value, key, self.search)
                    texts = [] if drawn else split_commas(value, key)
                    given[param.name] = [drawn] if drawn else [self._value(param, text, key) for text in texts]
            self._check_required(model.declared(place), place, model.name, given)
            grid |= {(place, name): values for name, values in given.items()}
        for owner, place, name in self.named:
            if owner == model.name and not _find(model.declared(place), name):
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
                check_inputs(one.spec, self.dataset)
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
            for param in model.declared(place):
                key = self.keys.get((model.name, place, param.name))
                reasons = [unmet(param, values, place) for values in settings]
                if key is not None and None in reasons:
                    self.active.add(key)
                elif key is not None:
                    self.idle.setdefault(key, str(reasons[0]))
        return config

    def _refuse(self, model: ModelSpec, params: dict[str, Any], fit: dict[str, Any]) -> None:
        """Let the model refuse its settings, then each model that they name; the first of these has the `fit.*`."""
        kind = self.definition.kind
        refuse_settings(model, Chosen(model.name, kind, dict(params), dict(fit)))
        named = [params[param.name] for param in model.params if param.type == "model"]
        for number, text in enumerate(named):
            if text:
                inner = parse_inner(text, kind, registry=self.registry)
                self._refuse(inner.spec, inner.params, inner_fit(text, kind, {} if number else fit, self.registry))

    def _resolved(self, model: ModelSpec, chosen: dict[str, dict[str, Any]]) -> RunConfig:
        params, fit = complete(model.params, chosen["model"]), complete(model.fit, chosen["fit"])
        if self.search is None:  # else a candidate that cannot be carried out is one that fails
            self._refuse(model, params, fit)
        elif fitted := next((params[param.name] for param in model.params if param.type == "model"), None):
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
        for param in model.declared(place):
            if param.name not in given:
                continue
            key = self.keys[model.name, place, param.name]
            reason = unmet(param, complete(model.declared(place), given), place)
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
        others = [entry.spec.name for entry in self.registry.models(self.definition.kind)]
        score_keys = ScoreKeys(reading_names(self.registry.task(self.definition.kind).spec.reading), self.reads)
        return unknown_key(key, self.models, self.dataset, others, score_keys)


def _find(params: Sequence[Param], name: str) -> Param | None:
    return next((param for param in params if param.name == name), None)


def _size(grid: dict[tuple[str, str], list[Any]]) -> int:
    total = 1
    for values in grid.values():
        total *= len(values)
    return total
