"""The grammar of `mlcvbench run KEY=VALUE[,VALUE] ...`: from words to resolved runs, or one sentence why not.

Keys are the run keys below, `model.*`, `fit.*` and `data.*` as the chosen specs declare them, and `NAME.*` for one
of several models. Commas sweep, brackets protect them; with `select=`, lists of model settings form one run's search
(see `search.py`). Nothing is started before every key has been parsed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlcvbench.errors import OverrideError, RequestError
from mlcvbench.plan.config import Definition, RunConfig
from mlcvbench.plan.definitions import TASK_MARK, definition_files, load_definition
from mlcvbench.plan.expansion import Benchmark, expand
from mlcvbench.plan.given_weights import check_given, check_unfitted, is_run
from mlcvbench.plan.named_files import WEIGHTS
from mlcvbench.plan.reading import take_reading
from mlcvbench.plan.search import SEARCH_KEYS, take_request
from mlcvbench.plan.vocabulary import REQUEST_KEYS, RUN_KEYS
from mlcvbench.plan.words import owner_of, parse_pairs, refuse_unknown
from mlcvbench.registry import Registry, get_registry
from mlcvbench.specs import DatasetSpec, ModelSpec
from mlcvbench.specs.checks import check_inputs
from mlcvbench.specs.values import single, split_commas


@dataclass(frozen=True, slots=True)
class Plan:
    """A parsed request: the runs, in order, the folder of their records and the benchmark."""

    configs: list[RunConfig]
    out: Path
    definition: Definition


def plan(
    args: Sequence[str], registry: Registry | None = None, *, outside: str | None = None, reads: bool = False
) -> Plan:
    """Return the runs that `args` request.

    `outside` names a model that no plugin provides: a live one, or one known by its predictions only. `reads`: accept
    the task kind's settings for reading such predictions as keys. OverrideError names a key that is unknown, given
    twice, without effect or of the wrong type; UnknownNameError an unknown task, model or data set; RequestError an
    impossible combination.
    """
    known = registry or get_registry()
    pairs = dict(parse_pairs(args, bare="task"))
    if "task" not in pairs:
        refuse_unknown(pairs, (*REQUEST_KEYS, *RUN_KEYS, *SEARCH_KEYS))  # the unknown key may be a misspelt `task`
    out = single("out", pairs.pop("out", REQUEST_KEYS["out"].default))
    search = take_request(pairs)
    definition = _definition(pairs.pop("task", None), pairs.pop("data", None), known)
    dataset = known.dataset(definition.dataset, definition.kind).spec
    if outside is None and "model" not in pairs:
        pairs |= _starting(definition, pairs)
    if outside is None:
        models = _models(pairs.pop("model", None), definition, dataset, known)
    else:
        models = [ModelSpec(outside, (definition.kind,), target="", summary="", needs=())]
    params = known.task(definition.kind).spec.reading if reads else ()
    reading = take_reading(pairs, params)
    bench = Benchmark(known, definition, dataset, models, search, reads)
    if WEIGHTS in pairs:
        pairs[WEIGHTS] = _located(pairs[WEIGHTS], Path(out).expanduser())
    configs = [replace(_settled(config), reading=reading) for config in expand(bench, pairs)]
    for config in configs:
        check_given(config.weights, config.model, definition.kind)
        if config.weights is not None and config.search is None:
            fit = {name: config.fit[name] for name in config.fit if f"fit.{name}" in config.given}
            check_unfitted(config.weights, fit)
    return Plan(configs, Path(out).expanduser(), definition)


def _located(value: str, out: Path) -> str:
    """Return what `weights=` is given, with the folder of a run in the place of its id among the records in `out`."""
    parts = split_commas(value, WEIGHTS)
    return ",".join(str(out / part) if not Path(part).exists() and is_run(out / part) else part for part in parts)


def _settled(config: RunConfig) -> RunConfig:
    """Return a run with its actual device: `device=auto` is a different run on a machine with a GPU."""
    from mlcvbench.plan.devices import resolve_device

    return replace(config, device=resolve_device("auto")) if config.device == "auto" else config


def _definition(task: str | None, data: str | None, registry: Registry) -> Definition:
    """Return the benchmark: what `task=` names, or the benchmark of its kind for the data set that `data=` names."""
    kinds = [entry.spec.name for entry in registry.tasks()]
    if task is None:
        listed = f": {', '.join(kinds)}" if kinds else ""
        raise OverrideError(f"no task is given; say task=NAME with a task{listed}, a definition's name or a YAML file.")
    definition = load_definition(single("task", task), registry)
    if data is None or single("data", data) == definition.dataset:
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


def _starting(definition: Definition, pairs: Mapping[str, str]) -> dict[str, str]:
    """Return the definition's words for its starter models, less those that the request decides otherwise."""
    words = {}
    for key, text in definition.starter.items():
        name = key.removeprefix(f"{owner_of(key, definition.models)}.")
        if key not in pairs and (name if name.startswith("fit.") else f"model.{name}") not in pairs:
            words[key] = text
    return words


def _models(named: str | None, definition: Definition, dataset: DatasetSpec, registry: Registry) -> list[ModelSpec]:
    """Return the models that `model=` names, or the definition's starter models."""
    names = list(dict.fromkeys(split_commas(named, "model"))) if named else list(definition.models)
    if "" in names:
        raise OverrideError(f"model={named}: a name is empty; wanted names with commas between them.")
    if not names:
        raise RequestError(f"definition {definition.name!r} names no starter models; say model=NAME.")
    models = [registry.runnable(name, definition.kind).spec for name in names]
    for model in models:
        check_inputs(model, dataset)
    return models
