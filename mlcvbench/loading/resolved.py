"""What a run's configuration means here: looked up once, when the run begins, and handed to all that it does."""

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
        """The device that the run computes on; RequestError when this machine has none, where it can still score."""
        config = self.config
        return Device(type=resolve_device(config.device), threads=config.threads, precision=config.precision)


def resolve(config: RunConfig, entries: Entries | None = None) -> Resolved:
    """Return what a configuration means here; `entries`: what the registry has said of it, if it was asked.

    UnknownNameError when there is no such task kind or data set, PluginError when the task kind cannot be imported.
    """
    found = entries or entries_of(config)
    return Resolved(config, found, task_of(found.task.spec))
