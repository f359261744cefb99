"""The data of a run: loaded, validated, and split as its model needs them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlcvbench.contract import JoinedSplit, LoadedData, Model, Split, Task
from mlcvbench.errors import DataError
from mlcvbench.loading.broken import without_broken
from mlcvbench.loading.models import class_of
from mlcvbench.loading.resolved import Resolved
from mlcvbench.specs import SKIP, DatasetSpec, ModelSpec, load_target
from mlcvbench.specs.values import text


@dataclass(frozen=True, slots=True)
class FitData:
    """The data for fit: `val` is None when the model does not use it; its samples are then part of `train`."""

    train: Split | None
    val: Split | None


def load_data(resolved: Resolved, splits: Sequence[str] | None = None) -> LoadedData:
    """Load the run's data set; the test split is cut to the first `limit` samples. DataError says what is wrong.

    `splits`: those that are used, None: all.
    """
    config = resolved.config
    data = read_data(resolved.entries.dataset.spec, resolved.task, config.data_params, config.data_seed, splits)
    test = data.splits["test"]
    if config.limit is None or config.limit >= len(test):
        return data
    first = test.take(np.arange(config.limit))
    first.beyond, first.unread = test.ids[config.limit :], test.unread
    return replace(data, splits={**data.splits, "test": first}, whole=data)


def read_data(
    spec: DatasetSpec, task: Task, params: Mapping[str, Any], data_seed: int, splits: Sequence[str] | None = None
) -> LoadedData:
    """Load some or all splits of a data set and validate them; DataError says what is wrong."""
    data = load_all(spec, params, data_seed, splits)
    if SKIP in spec.params and params.get(SKIP.name) == "broken":
        data = without_broken(data)
    task.check_data(data)
    return data


def load_all(
    spec: DatasetSpec, params: Mapping[str, Any], data_seed: int, splits: Sequence[str] | None = None
) -> LoadedData:
    """Load a data set, including unreadable samples; DataError when its name, test split or ids are wrong.

    A loader with an argument `splits` is given the names of those used and may skip the others; otherwise they are
    dropped here.
    """
    load = load_target(spec.target)
    told = {"splits": tuple(splits)} if splits is not None and "splits" in inspect.signature(load).parameters else {}
    data: LoadedData = load(dict(params), data_seed, **told)
    if splits is not None:
        data = replace(data, splits={name: split for name, split in data.splits.items() if name in splits})
    if data.name != spec.name:
        raise DataError(f"data set {spec.name!r}: its loader names its data {data.name!r}; the names must be equal.")
    if "test" not in data.splits:
        raise DataError(f"data set {data.name!r} has no test split; got {', '.join(sorted(data.splits)) or 'none'}.")
    test = data.splits["test"]
    if np.unique(test.ids).size != test.ids.size:
        raise DataError(f"data set {data.name!r}: the ids of the test split are not unique.")
    return data


SIZE = "size"
"""The setting of a data set that can resize its images."""
SHOWN = 6
"""The most models that a message lists."""


def refuse_ragged(data: LoadedData, resolved: Resolved) -> None:
    """Refuse images of unequal size for a model that would be fitted and wants one size, with what can be done.

    A model without a fit predicts image by image, so it may still work.
    """
    spec = resolved.spec
    fits = getattr(class_of(spec), "fit", None) is not Model.fit
    if fits and not spec.ragged and any(split.ragged for split in data.splits.values()):
        raise DataError(
            f"model {spec.name!r} needs images of one size, and those of data set {data.name!r} differ; "
            f"{_about_sizes(resolved)}."
        )


def _about_sizes(resolved: Resolved) -> str:
    """Return what helps where images differ in size: to resize them where the data set can, else other models."""
    entries = resolved.entries
    if any(param.name == SIZE for param in entries.dataset.spec.params):
        return f"set data.{SIZE}=[H,W] to resize them"
    models = entries.registry.models(resolved.config.definition.kind)
    names = sorted(entry.spec.name for entry in models if entry.spec.ragged)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    able = f"models that take them as they are: {', '.join(names[:SHOWN])}{more}"
    return f"it cannot resize them; {able if names else 'no installed model takes them as they are'}"


def fit_data(data: LoadedData, spec: ModelSpec, settings: Mapping[str, Any] | None = None) -> FitData:
    """Return train and val as the model needs them: val is merged into train for a model that does not use it.

    DataError when one of the `fit.*` settings chooses on a validation split that the data set lacks.
    """
    train, val = data.splits.get("train"), data.splits.get("val")
    chosen = {param.name: (settings or {}).get(param.name) for param in spec.fit if param.wants_val}
    wanting = [param.name for param in spec.fit if param.name in chosen and param.wants_validation(chosen[param.name])]
    if wanting and val is None:
        raise DataError(
            f"fit.{wanting[0]}={text(chosen[wanting[0]])} chooses on a validation split, and data set {data.name!r} "
            "has none."
        )
    if spec.uses_val or wanting or val is None or train is None:
        return FitData(train, val if spec.uses_val or wanting else None)
    return FitData(JoinedSplit([train, val], "train+val"), None)
