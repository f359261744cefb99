"""From the words of a request to its runs, once benchmark and models are known: grids, sweeps, searches.

Words are assigned to the run, the data or the models, each model takes its own, and lists are multiplied out. Nothing
is modified in place: each step returns its result.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mlcvbench.errors import OverrideError, RequestError
from mlcvbench.limits import MAX_RUNS
from mlcvbench.plan.config import Definition, RunConfig
from mlcvbench.plan.reading import reading_names
from mlcvbench.plan.search import PLACES, Range, SearchRequest, candidates, check_request, parse_range
from mlcvbench.plan.unknown_keys import ScoreKeys, unknown_key
from mlcvbench.plan.vocabulary import RUN_KEYS
from mlcvbench.plan.words import owner_of
from mlcvbench.registry import Registry
from mlcvbench.registry.inner import inner_fit, inner_models, parse_inner
from mlcvbench.specs import Chosen, DatasetSpec, ModelSpec, Param
from mlcvbench.specs.checks import check_inputs, refuse_settings
from mlcvbench.specs.values import complete, effective, existing, missing, needs, parse_setting, single, split_commas

Effects = Iterable[tuple[str, str | None]]
"""Keys as given, each with the reason why it has no effect somewhere, or None where it has one."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """The context in which a request is read: data, models, and the requested search.

    `reads`: the settings for reading predictions, already parsed; they are suggested for a misspelt key.
    """

    registry: Registry
    definition: Definition
    dataset: DatasetSpec
    models: Sequence[ModelSpec]
    search: SearchRequest | None = None
    reads: bool = False


@dataclass(frozen=True, slots=True)
class Assigned:
    """Assigned words. `run`, `data`: typed values; `shared`: of all models, by (place, name).

    `named`: of one model, by (model, place, name).
    """

    run: dict[str, list[Any]] = field(default_factory=dict)
    data: dict[str, list[Any]] = field(default_factory=dict)
    shared: dict[tuple[str, str], str] = field(default_factory=dict)
    named: dict[tuple[str, str, str], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Grid:
    """The settings of one model. `values`: by (place, name), in the order of the sweep. `keys`: as given.

    `space`: what its runs search over, by full name.
    """

    model: ModelSpec
    values: Mapping[tuple[str, str], list[Any]]
    keys: Mapping[tuple[str, str], str]
    space: Mapping[str, list[Any]]

    @property
    def size(self) -> int:
        """The number of its runs."""
        total = 1
        for values in self.values.values():
            total *= len(values)
        return total


def expand(bench: Benchmark, pairs: Mapping[str, str]) -> list[RunConfig]:
    """Return the runs: model by model, sweeps as products, equal ones once.

    OverrideError names a key that is unknown, of the wrong type or without effect; RequestError for too many runs.
    """
    words = assign(bench, pairs)
    _require("data set", bench.dataset.name, "data", bench.dataset.params, {**bench.definition.data, **words.data})
    grids = [_grid(bench, model, words) for model in bench.models]
    used = {key for grid in grids for key in grid.keys.values()}
    for place, name in words.shared:
        if f"{place}.{name}" not in used:
            key = f"{place}.{name}"
            raise OverrideError(f"key {key!r} has no effect: every model that has it is given its own value.")
    total = sum(grid.size for grid in grids)
    if total > MAX_RUNS:
        raise RequestError(f"the request asks for {total} runs; the most is {MAX_RUNS}.")
    found: dict[str, RunConfig] = {}
    effects: list[tuple[str, str | None]] = []
    for grid in grids:
        for values in itertools.product(*grid.values.values()):
            config, own = _config(bench, grid, dict(zip(grid.values, values, strict=True)))
            effects += own
            found.setdefault(json.dumps(config.to_dict(), sort_keys=True), config)
    _refuse_without_effect(effects)
    return list(found.values())


def assign(bench: Benchmark, pairs: Mapping[str, str]) -> Assigned:
    """Assign the words to the run, the data and the models."""
    words = Assigned()
    for key, value in pairs.items():
        place, _, name = key.partition(".")
        owner = owner_of(key, [model.name for model in bench.models])
        if key in RUN_KEYS:
            run_key = RUN_KEYS[key]
            texts = split_commas(value, key) if run_key.sweeps else [single(key, value)]
            words.run[key] = [_typed(run_key.param, text, key) for text in texts]
        elif place == "data" and (param := _find(bench.dataset.params, name)):
            words.data[name] = [_typed(param, text, key) for text in split_commas(value, key)]
        elif place in PLACES and any(_find(model.declared(place), name) for model in bench.models):
            words.shared[place, name] = value
        elif owner is not None:
            inner = key.removeprefix(f"{owner}.")
            inner_place = "fit" if inner.startswith("fit.") else "model"
            words.named[owner, inner_place, inner.removeprefix("fit.")] = value
        else:
            raise _unknown(bench, key)
    return words


def _grid(bench: Benchmark, model: ModelSpec, words: Assigned) -> Grid:
    """Return the settings that one model takes from the words."""
    grid: dict[tuple[str, str], list[Any]] = {}
    keys: dict[tuple[str, str], str] = {}
    for place in PLACES:
        for param in model.declared(place):
            key = f"{model.name}.{param.name}" if place == "model" else f"{model.name}.fit.{param.name}"
            value = words.named.get((model.name, place, param.name))
            if value is None:
                key, value = f"{place}.{param.name}", words.shared.get((place, param.name))
            if value is not None:
                keys[place, param.name] = key
                drawn = parse_range(param, value, key, bench.search)
                texts = [] if drawn else split_commas(value, key)
                grid[place, param.name] = [drawn] if drawn else [_value(bench, param, text, key) for text in texts]
        given = {name: values for (own, name), values in grid.items() if own == place}
        _require("model", model.name, place, model.declared(place), given)
    for owner, place, name in words.named:
        if owner == model.name and not _find(model.declared(place), name):
            raise _unknown(bench, f"{owner}.{'fit.' if place == 'fit' else ''}{name}")
    searched = [] if bench.search is None else [at for at, found in grid.items() if _is_space(found)]
    space = {f"{place}.{name}": grid.pop((place, name)) for place, name in searched}
    grid |= {("data", name): values for name, values in words.data.items()}
    # Seeds vary fastest, so that the runs of a seed group are adjacent.
    grid |= {("run", key): words.run[key] for key in sorted(words.run, key=lambda key: key == "seed")}
    return Grid(model, grid, keys, space)


def _is_space(values: Sequence[Any]) -> bool:
    return len(values) > 1 or isinstance(values[0], Range)


def _typed(param: Param, text: str, key: str) -> Any:
    return existing(param, parse_setting(param, text, key), key)


def _value(bench: Benchmark, param: Param, text: str, key: str) -> Any:
    """Return one value of a model or fit setting; a model that it names must suit the data."""
    value = _typed(param, text, key)
    if param.type == "model":
        kind = bench.definition.kind
        inner = parse_inner(value, kind, key, bench.registry)
        for one in (inner, *inner_models(inner.spec, inner.params, kind, bench.registry)):
            check_inputs(one.spec, bench.dataset)
    return value


def _config(
    bench: Benchmark, grid: Grid, values: Mapping[tuple[str, str], Any]
) -> tuple[RunConfig, list[tuple[str, str | None]]]:
    """Return the run of one grid point, and which of the given keys have an effect on it.

    Inactive settings are left out, so that a sweep over both makes no run twice.
    """
    chosen = {
        place: {name: value for (own, name), value in values.items() if own == place}
        for place in (*PLACES, "data", "run")
    }
    if bench.search is not None:
        config = _searching(grid, _resolved(bench, grid.model, chosen), bench.search)
        tried = [{"model": one.model_params, "fit": one.fit} for one in candidates(config, grid.model)]
        return config, [effect for settings in tried for effect in _effects(grid, settings)]
    effects = list(_effects(grid, chosen))
    for place in PLACES:
        chosen[place], _ = effective(grid.model.declared(place), chosen[place], place)
    return _resolved(bench, grid.model, chosen), effects


def _searching(grid: Grid, config: RunConfig, request: SearchRequest) -> RunConfig:
    """Return the run that searches the space of a grid."""
    space = dict(grid.space)
    search = request.over(space)
    check_request(search, grid.model)
    return replace(
        config,
        model_params={name: v for name, v in config.model_params.items() if f"model.{name}" not in space},
        fit={name: v for name, v in config.fit.items() if f"fit.{name}" not in space},
        given=tuple(sorted({*config.given, *space}, key=lambda key: not key.startswith("model."))),
        search=search,
    )


def _effects(grid: Grid, settings: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str | None]]:
    """Yield the grid's keys among the settings, each with the reason why it has no effect there, or None."""
    for place in PLACES:
        _, reasons = effective(grid.model.declared(place), settings[place], place)
        for name in settings[place]:
            if (place, name) in grid.keys:
                yield grid.keys[place, name], reasons.get(name)


def _refuse_without_effect(effects: Effects) -> None:
    """Refuse a key that has no effect on any run, with the first reason found."""
    reasons: dict[str, list[str | None]] = {}
    for key, reason in effects:
        reasons.setdefault(key, []).append(reason)
    for key, found in reasons.items():
        if None not in found:
            raise OverrideError(f"key {key!r} has no effect: {found[0]}.")


def _resolved(bench: Benchmark, model: ModelSpec, chosen: Mapping[str, Mapping[str, Any]]) -> RunConfig:
    params, fit = complete(model.params, chosen["model"]), complete(model.fit, chosen["fit"])
    if bench.search is None:  # in a search, a candidate that cannot be carried out simply fails
        _refuse(bench, model, params, fit)
    elif fitted := next((params[param.name] for param in model.params if param.type == "model"), None):
        inner_fit(fitted, bench.definition.kind, fit, bench.registry)
    return RunConfig(
        definition=bench.definition,
        model=model.name,
        model_params=params,
        fit=fit,
        data_params=complete(bench.dataset.params, {**bench.definition.data, **chosen["data"]}),
        given=tuple(f"{place}.{name}" for place in (*PLACES, "data") for name in chosen[place]),
        **{key.field: chosen["run"].get(name, key.param.default) for name, key in RUN_KEYS.items()},
    )


def _refuse(bench: Benchmark, model: ModelSpec, params: dict[str, Any], fit: dict[str, Any]) -> None:
    """Let the model check its settings, then each model that they name; the first of these gets the `fit.*`."""
    kind = bench.definition.kind
    refuse_settings(model, Chosen(model.name, kind, dict(params), dict(fit)))
    named = [params[param.name] for param in model.params if param.type == "model"]
    for number, text in enumerate(named):
        if text:
            inner = parse_inner(text, kind, registry=bench.registry)
            own = inner_fit(text, kind, {} if number else fit, bench.registry)
            _refuse(bench, inner.spec, inner.params, own)


def _require(what: str, owner: str, place: str, params: Sequence[Param], given: Mapping[str, Any]) -> None:
    for param in missing(params, given):
        raise needs(f"{what} {owner!r}", place, param)


def _unknown(bench: Benchmark, key: str) -> OverrideError:
    kind = bench.definition.kind
    others = [entry.spec.name for entry in bench.registry.models(kind)]
    score_keys = ScoreKeys(reading_names(bench.registry.task(kind).spec.reading), bench.reads)
    return unknown_key(key, bench.models, bench.dataset, others, score_keys)


def _find(params: Sequence[Param], name: str) -> Param | None:
    return next((param for param in params if param.name == name), None)
