"""The registry's entries of what a run names: looked up once, then passed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlcvbench.plan.config import RunConfig
from mlcvbench.registry import Entry, Registry, get_registry
from mlcvbench.specs import DatasetSpec, ModelSpec, Param, TaskSpec


@dataclass(frozen=True, slots=True)
class Entries:
    """The registry's entries of a run's task kind, data set and model.

    `provided`: the entry of the model, None for one that no plugin provides: a live one, or one known by its
    predictions only. `registry` knows the models that settings name.
    """

    registry: Registry
    task: Entry[TaskSpec]
    dataset: Entry[DatasetSpec]
    model: str
    provided: Entry[ModelSpec] | None

    @property
    def model_entry(self) -> Entry[ModelSpec]:
        """The entry of the model; UnknownNameError suggests the nearest name when no plugin provides it."""
        return self.registry.model(self.model, self.task.spec.name) if self.provided is None else self.provided

    @property
    def places(self) -> frozenset[str]:
        """The settings of the data set that say where it is stored; no key and no record holds their values."""
        return self.dataset.spec.places

    def declared(self, place: str) -> Sequence[Param]:
        """Return the settings that the model declares under `model` or `fit`; none when no plugin provides it."""
        return () if self.provided is None else self.provided.spec.declared(place)


def entries_of(config: RunConfig, registry: Registry | None = None) -> Entries:
    """Look up what a run names; UnknownNameError when there is no such task kind or data set."""
    known, definition = registry or get_registry(), config.definition
    task, dataset, model = known.named(definition.kind, definition.dataset, config.model)
    return Entries(known, task, dataset, config.model, model)
