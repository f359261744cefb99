"""The `fit.*` settings of the training loop: declared for specs, typed for the loop. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlcvbench.specs import Param

OPTIMIZERS = ("sgd", "momentum", "adam", "adamw")
SCHEDULES = ("constant", "cosine", "one_cycle")
AUGMENTATIONS = ("none", "shift")


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train. `lr` is the largest learning rate of the schedule; `epochs` are passes over the training data."""

    optimizer: str = "adamw"
    lr: float = 0.003
    batch: int = 64
    epochs: int = 20
    weight_decay: float = 0.01
    schedule: str = "one_cycle"
    label_smoothing: float = 0.0
    augmentation: str = "none"

    @staticmethod
    def of(values: Mapping[str, Any], defaults: Settings) -> Settings:
        """Return `defaults` with the settings that `values` gives; other keys are not the loop's and are left out."""
        return replace(defaults, **{name: values[name] for name in Settings.__slots__ if name in values})


def fit_params(
    defaults: Settings, optimizers: tuple[str, ...] = OPTIMIZERS, without: tuple[str, ...] = ()
) -> tuple[Param, ...]:
    """Return the settings as typed `fit.*` parameters with these defaults and their bounds, except those `without`."""
    declared = (
        Param("optimizer", "str", defaults.optimizer, "update rule", choices=optimizers),
        Param("lr", "float", defaults.lr, "largest learning rate", low=0.0),
        Param("batch", "int", defaults.batch, "images a step", low=1),
        Param("epochs", "int", defaults.epochs, "passes over the training images", low=1),
        Param("weight_decay", "float", defaults.weight_decay, "decay of weights, not of biases or norms", low=0.0),
        Param("schedule", "str", defaults.schedule, "learning rate over the steps", choices=SCHEDULES),
        Param("label_smoothing", "float", defaults.label_smoothing, "share spread over classes", low=0.0, high=0.99),
        Param("augmentation", "str", defaults.augmentation, "random change of each image", choices=AUGMENTATIONS),
    )
    return tuple(param for param in declared if param.name not in without)
