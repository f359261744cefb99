"""A run's configuration, resolved once when the run begins and passed to all its stages."""

from __future__ import annotations

from dataclasses import dataclass

from mlcvbench.contract import Device, Task
from mlcvbench.loading.tasks import task_of
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.devices import resolve_device
from mlcvbench.plan.entries import Entries, entries_of
from mlcvbench.specs import ModelSpec


@dataclass(frozen=True, slots=True)
class Resolved:
    """A run, the registry's entries of what it names, and the implementation of its task kind."""

    config: RunConfig
    entries: Entries
    task: Task

    @property
    def spec(self) -> ModelSpec:
        """The spec of the run's model; UnknownNameError when no plugin provides it."""
        return self.entries.model_entry.spec

    @property
    def device(self) -> Device:
        """The device that the run computes on; RequestError when this machine lacks it, though it can still score."""
        config = self.config
        return Device(type=resolve_device(config.device), threads=config.threads, precision=config.precision)


def resolve(config: RunConfig, entries: Entries | None = None) -> Resolved:
    """Resolve a configuration; `entries`: its registry entries, if already looked up.

    UnknownNameError when there is no such task kind or data set, PluginError when the task kind cannot be imported.
    """
    found = entries or entries_of(config)
    return Resolved(config, found, task_of(found.task.spec))
