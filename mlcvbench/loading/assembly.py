"""From a resolved configuration to the things a run needs: task, data, model. Used by runs, probes and re-scoring."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import Device, JoinedSplit, LoadedData, Model, Problem, Scorer, Split, Task, TorchModel
from mlcvbench.contract.scoring import iter_names
from mlcvbench.errors import DataError, PluginError, RequestError, UnknownNameError
from mlcvbench.loading.broken import without_broken
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.devices import resolve_device
from mlcvbench.registry import get_registry
from mlcvbench.registry.inner import parse_inner
from mlcvbench.specs import SKIP, DatasetSpec, ModelSpec, load_target
from mlcvbench.specs.checks import untaken_parameter
from mlcvbench.specs.values import text

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(frozen=True, slots=True)
class FitData:
    """What fit gets: `val` is None when the model does not use it, and then its samples are part of `train`."""

    train: Split | None
    val: Split | None


def task_of(config: RunConfig) -> Task:
    """Return the task implementation of the run's kind."""
    return task_of_kind(config.definition.kind)


def task_of_kind(kind: str) -> Task:
    """Return the implementation of a task kind."""
    task: Task = load_target(get_registry().task(kind).spec.target)()
    return task


def scorer_of(task: Task, protocol: str, metrics: Collection[str], data: LoadedData) -> Scorer:
    """Return the scorer of a definition; UnknownNameError when the task has no such protocol or it no such metric.

    DataError when the data lack what the protocol compares with.
    """
    scorer = task.scorer(protocol, data.problem)
    task.check_protocol(data, protocol)
    known = iter_names(scorer.metrics)
    for name in metrics:
        if name not in known:
            raise UnknownNameError("metric", name, known)
    return scorer


def model_spec(config: RunConfig) -> ModelSpec:
    """Return the spec of the run's model."""
    return get_registry().model(config.model, config.definition.kind).spec


def load_data(config: RunConfig) -> LoadedData:
    """Load the run's data set; the test split is cut to the first `limit` samples. DataError says what is wrong."""
    entry = get_registry().dataset(config.definition.dataset, config.definition.kind)
    data = read_data(entry.spec, task_of(config), config.data_params, config.data_seed)
    test = data.splits["test"]
    if config.limit is None or config.limit >= len(test):
        return data
    first = test.take(np.arange(config.limit))
    first.beyond, first.unread = test.ids[config.limit :], test.unread
    return replace(data, splits={**data.splits, "test": first}, whole=data)


def read_data(spec: DatasetSpec, task: Task, params: Mapping[str, Any], data_seed: int) -> LoadedData:
    """Load a data set and check that it is what it says it is; DataError says what is wrong."""
    data = load_all(spec, params, data_seed)
    if SKIP in spec.params and params.get(SKIP.name) == "broken":
        data = without_broken(data)
    task.check_data(data)
    return data


def load_all(spec: DatasetSpec, params: Mapping[str, Any], data_seed: int) -> LoadedData:
    """Load a data set with samples that cannot be read, if there are any; DataError when it is not a whole one."""
    data: LoadedData = load_target(spec.target)(dict(params), data_seed)
    if data.name != spec.name:
        raise DataError(f"data set {spec.name!r}: its loader gives data named {data.name!r}; the names must be equal.")
    if "test" not in data.splits:
        raise DataError(f"data set {data.name!r} has no test split; got {', '.join(sorted(data.splits)) or 'none'}.")
    test = data.splits["test"]
    if len(np.unique(test.ids)) != len(test):
        raise DataError(f"data set {data.name!r}: the ids of the test split are not unique.")
    return data


def refuse_ragged(data: LoadedData, spec: ModelSpec) -> None:
    """Refuse images of unequal size for a model that would be fitted and wants one size.

    A model without a fit is asked image by image, so it may still answer.
    """
    fits = getattr(load_target(spec.target), "fit", None) is not Model.fit
    if fits and not spec.ragged and any(split.ragged for split in data.splits.values()):
        raise DataError(
            f"model {spec.name!r} needs images of one size, and those of data set {data.name!r} differ; "
            "set data.size=[H,W] to resize them."
        )


def fit_data(data: LoadedData, spec: ModelSpec, settings: Mapping[str, Any] | None = None) -> FitData:
    """Return train and val as the model wants them: val is merged into train for a model that does not use it.

    DataError when one of the `fit.*` settings chooses on a validation split that the data set has not.
    """
    train, val = data.splits.get("train"), data.splits.get("val")
    chosen = {param.name: (settings or {}).get(param.name) for param in spec.fit if param.wants_val}
    wanting = [param.name for param in spec.fit if chosen.get(param.name) in param.wants_val]
    if wanting and val is None:
        raise DataError(
            f"fit.{wanting[0]}={text(chosen[wanting[0]])} chooses on a validation split, and data set {data.name!r} "
            "has none."
        )
    if spec.uses_val or wanting or val is None or train is None:
        return FitData(train, val if spec.uses_val or wanting else None)
    return FitData(JoinedSplit([train, val], "train+val"), None)


def build_model(config: RunConfig, problem: Problem, weights: Path | None = None) -> Model:
    """Return the run's model on its device, with the state that `weights` names when given; see `load_state`."""
    model = construct(model_spec(config), config.model_params, problem, device_of(config))
    if weights is not None:
        load_state(model, weights, config.model)
    return model


def load_state(model: Model, given: Path, name: str) -> None:
    """Load what `weights=` names: the folder of a fitted state, or, for a network, one file of weights, whatever it is
    called.

    The one place that says so: runs, the processes that measure them and pictures of them load here. RequestError when
    a model that is no network, whose state may be several files, is given one of them.
    """
    if given.is_file() and not isinstance(model, TorchModel):
        raise RequestError(
            f"weights={given.name}: wanted a folder, for the state of model {name!r} may be several files; "
            "a single file is for networks."
        )
    model.load(given)


def construct(spec: ModelSpec, params: Mapping[str, Any], problem: Problem, device: Device) -> Model:
    """Return the model of a spec on `device`, not fitted; PluginError when its class does not take its settings."""
    made = load_target(spec.target)
    untaken = untaken_parameter(spec.target, made, spec.params)
    if untaken:
        raise PluginError(f"model {spec.name!r}: {untaken}")
    named = {"name": spec.name.removeprefix(spec.prefix)} if spec.prefix else {}
    model: Model = made(problem, **named, **params)
    model.to(device)
    return model


def build_inner(text: str, problem: Problem, device: Device) -> Model:
    """Return the model that `text` names, not yet fitted, on `device`."""
    inner = parse_inner(text, problem.kind)
    return construct(inner.spec, inner.params, problem, device)


def device_of(config: RunConfig) -> Device:
    """Return the device a run computes on."""
    kind = resolve_device(config.device)
    return Device(type=kind, threads=config.threads, precision=config.precision)


def thread_environment(threads: int) -> dict[str, str]:
    """Return the environment variables that fix the thread count of a process before it starts."""
    return dict.fromkeys(THREAD_VARIABLES, str(threads))


def public_params(config: RunConfig) -> dict[str, Any]:
    """Return the data parameters without paths: a record names no folder of the machine it was made on."""
    spec = get_registry().dataset(config.definition.dataset, config.definition.kind).spec
    paths = {param.name for param in spec.params if param.type == "path"}
    return {name: None if name in paths else value for name, value in config.data_params.items()}
