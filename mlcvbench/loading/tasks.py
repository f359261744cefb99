"""The implementation of a task kind."""

from __future__ import annotations

from mlcvbench.contract import Task
from mlcvbench.registry import get_registry
from mlcvbench.specs import TaskSpec, load_target


def task_of_kind(kind: str) -> Task:
    """Return the implementation of a task kind; UnknownNameError when there is none, PluginError when it is broken."""
    return task_of(get_registry().task(kind).spec)


def task_of(spec: TaskSpec) -> Task:
    """Return the implementation that a spec names; PluginError when it cannot be imported."""
    task: Task = load_target(spec.target)()
    return task
