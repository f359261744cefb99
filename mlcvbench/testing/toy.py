"""The data on which the kit tries models: toy data that each task kind makes, or the beginning of a data set."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mlcvbench.contract import Array, Batch, Column, LoadedData
from mlcvbench.registry import Registry, get_registry
from mlcvbench.specs import DatasetSpec, load_target
from mlcvbench.specs.values import complete

SIZES = {"train": 48, "val": 12, "test": 12}
"""Samples of the splits on which most checks are made."""
FEW = {"train": 12, "test": 6}
"""Samples of the splits of the other toys, each tried once."""


def toy_data(kind: str, needs: Collection[str] = (), *, registry: Registry | None = None) -> dict[str, LoadedData]:
    """Return a task kind's toy data by name, the plain ones first; none where it makes none with the inputs `needs`."""
    tasks = [entry.spec for entry in (registry or get_registry()).tasks() if entry.spec.name == kind]
    if not tasks or not tasks[0].toys:
        return {}
    made: dict[str, LoadedData] = load_target(tasks[0].toys)(tuple(needs))
    return made


def installed_data(kind: str, needs: Collection[str], registry: Registry) -> LoadedData | None:
    """Return the first samples of the first data set of a task kind that loads without settings and has the needed
    inputs.
    """
    for entry in registry.datasets(kind):
        if set(needs) <= set(entry.spec.provides) and not any(param.required for param in entry.spec.params):
            return first_samples(entry.spec, {})
    return None


def first_samples(spec: DatasetSpec, given: Mapping[str, Any]) -> LoadedData:
    """Return the first samples of each split of a data set, read with the settings `given`.

    A data set that is drawn as large as its settings `train`, `val` and `test` say draws no more than that.
    """
    params = complete(spec.params, given)
    for param in spec.params:
        if param.name in SIZES and param.type == "int" and param.name not in given:
            params[param.name] = min(params[param.name] or SIZES[param.name], SIZES[param.name])
    data: LoadedData = load_target(spec.target)(params, 0)
    return replace(data, splits={n: s.take(np.arange(min(len(s), SIZES.get(n, 0)))) for n, s in data.splits.items()})


def odd_pixels(batch: Batch) -> dict[str, Batch]:
    """Return copies of a batch with extreme pixels, by description: all 0, all 255, 0 or 255 at random."""
    generator = np.random.default_rng(1)
    makers: dict[str, Callable[[Array], Array]] = {
        "black images": np.zeros_like,
        "white images": lambda array: np.full_like(array, 255),
        "black and white noise": lambda array: generator.choice(np.array([0, 255], array.dtype), array.shape),
    }
    return {
        name: replace(batch, inputs={kind: _mapped(make, column) for kind, column in batch.inputs.items()})
        for name, make in makers.items()
    }


def _mapped(make: Callable[[Array], Array], column: Column) -> Column:
    return [make(item) for item in column] if isinstance(column, list) else make(column)
