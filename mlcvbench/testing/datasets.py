"""Checks that a data set loads, has valid ids and gives the same bytes twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from mlcvbench.contract import LoadedData
from mlcvbench.errors import DataError
from mlcvbench.loading.tasks import task_of_kind
from mlcvbench.specs import DatasetSpec, load_target
from mlcvbench.specs.checks import check_spec
from mlcvbench.specs.values import complete, missing
from mlcvbench.testing.imports import heavy_imports
from mlcvbench.testing.results import CheckResult, run_check

HALF = 7
"""Samples per batch in the reading check: a number that divides few lengths."""


def check_dataset(spec: DatasetSpec, params: Mapping[str, Any] | None = None) -> list[CheckResult]:
    """Return the result of every check of one data set. `params`: its settings, such as the folder it reads."""
    given = dict(params or {})
    results = [
        run_check("spec", lambda: check_spec(spec)),
        run_check("import cost", lambda: _import_cost(spec)),
    ]
    if lacking := [f"data.{param.name}" for param in missing(spec.params, given)]:
        return [*results, CheckResult("loading", None, f"not made: it needs {', '.join(lacking)}=VALUE.")]
    loaded: list[LoadedData] = []
    results.append(run_check("loading", lambda: _load(spec, given, loaded)))
    for name, check in _checks(spec, given, loaded[0]) if loaded else ():
        if name != "splits" and "test" not in loaded[0].splits:
            results.append(CheckResult(name, None, "not made, for there is no test split."))
        else:
            results.append(run_check(name, check))
    return results


def _import_cost(spec: DatasetSpec) -> str | None:
    found = heavy_imports(spec.target.partition(":")[0].partition(".")[0])
    return f"importing the package to read its specs imports {', '.join(found)}." if found else None


def _load(spec: DatasetSpec, given: Mapping[str, Any], loaded: list[LoadedData]) -> str | None:
    data = load_target(spec.target)(complete(spec.params, given), 0)
    if not isinstance(data, LoadedData):
        return f"{spec.target} must return an mlcvbench.LoadedData, got {type(data).__name__}."
    loaded.append(data)
    return None


def _checks(spec: DatasetSpec, given: Mapping[str, Any], data: LoadedData) -> Iterator[tuple[str, Callable[[], Any]]]:
    yield "splits", lambda: _splits(data)
    yield "problem", lambda: _problem(spec, data)
    yield "reading", lambda: _reading(data)
    yield "same bytes twice", lambda: _repeats(spec, given, data)


def _splits(data: LoadedData) -> str | None:
    if "test" not in data.splits:
        return f"there is no split 'test'; got {', '.join(sorted(data.splits)) or 'none'}."
    seen: dict[str, str] = {}
    for name, split in data.splits.items():
        if len(split) == 0:
            return f"split {name!r} is empty."
        if len(np.unique(split.ids)) != len(split):
            return f"split {name!r}: the ids are not unique."
        if len(split.groups) != len(split):
            return f"split {name!r}: wanted {len(split)} groups, got {len(split.groups)}."
        for sample in map(str, split.ids):
            if sample in seen:
                return f"id {sample!r} is in the splits {seen[sample]!r} and {name!r}."
        seen |= dict.fromkeys(map(str, split.ids), name)
    return None


def _problem(spec: DatasetSpec, data: LoadedData) -> str | None:
    if data.name != spec.name:
        return f"the loaded data are named {data.name!r}, the spec {spec.name!r}; the names must be equal."
    if data.problem.kind not in spec.kinds:
        return f"the problem is of task kind {data.problem.kind!r}, the spec says {', '.join(spec.kinds)}."
    if set(data.problem.inputs) != set(spec.provides):
        return f"the problem has the inputs {sorted(data.problem.inputs)}, the spec provides {sorted(spec.provides)}."
    try:
        task_of_kind(data.problem.kind).check_data(data)
    except DataError as error:
        return str(error)
    return None


def _reading(data: LoadedData) -> str | None:
    test = data.splits["test"]
    count = 0
    for batch, targets in test.batches(HALF):
        count += len(batch)
        for name, column in [*batch.inputs.items(), *targets.items()]:
            if len(column) != len(batch):
                return f"column {name!r}: wanted {len(batch)} samples, got {len(column)}."
    return None if count == len(test) else f"batches hold {count} samples of {len(test)}."


def _repeats(spec: DatasetSpec, given: Mapping[str, Any], data: LoadedData) -> str | None:
    again: LoadedData = load_target(spec.target)(complete(spec.params, given), 0)
    return None if again.fingerprint() == data.fingerprint() else "loading twice gives different fingerprints."
