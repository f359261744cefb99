"""The implementation of a task kind, and the scorer of one of its protocols."""

from __future__ import annotations

from collections.abc import Collection

from mlcvbench.contract import LoadedData, Scorer, Task
from mlcvbench.contract.scoring import iter_names
from mlcvbench.errors import UnknownNameError
from mlcvbench.registry import get_registry
from mlcvbench.specs import TaskSpec, load_target


def task_of_kind(kind: str) -> Task:
    """Return the implementation of a task kind; UnknownNameError when there is none, PluginError when it is broken."""
    return task_of(get_registry().task(kind).spec)


def task_of(spec: TaskSpec) -> Task:
    """Return the implementation that a spec names; PluginError when it cannot be imported."""
    task: Task = load_target(spec.target)()
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
