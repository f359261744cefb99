"""What a training refuses before it begins, and what it says when it came to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlcvbench.errors import MlcvbenchError, RequestError
from mlcvbench_training.settings import NEWTON

if TYPE_CHECKING:
    from torch import nn

    from mlcvbench_training.settings import NetworkSettings, Settings

LARGEST_DECAY = 2.0
"""Of lr x weight_decay: beyond it a step's theta (1 - lr x weight_decay) is larger than theta."""


class DivergedError(MlcvbenchError):
    """The loss of a training became infinite or not a number."""

    exit_code = 1


def check_training(module: nn.Module, settings: Settings, *, validated: bool) -> None:
    """Refuse settings that cannot be carried out on this network, or without validation data: RequestError."""
    from torch import nn

    if not validated and (settings.early_stopping or settings.base_schedule == "plateau"):
        what = "early_stopping=true" if settings.early_stopping else f"schedule={settings.schedule}"
        raise RequestError(f"fit.{what} chooses on validation data, and there are none.")
    if settings.schedule != settings.base_schedule and settings.warmup > settings.epochs:
        raise RequestError(
            f"fit.warmup={settings.warmup:g} is longer than the training of {settings.epochs} epochs, so that the rate "
            "would never reach fit.lr; set a shorter one."
        )
    norms = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules())
    if norms and (settings.optimizer == "online_gd" or settings.batch == 1):
        raise RequestError(
            "batch norm needs at least 2 images a step, got 1; set a larger fit.batch or fit.optimizer=sgd."
        )


def check_watching(settings: NetworkSettings, defaults: NetworkSettings) -> None:
    """Refuse another `watch_every` than a method has by default where nothing is looked at: RequestError."""
    if settings.watch_every != defaults.watch_every and not settings.watched:
        raise RequestError(
            f"fit.watch_every={settings.watch_every} has no effect, since validation data are not looked at; set "
            "fit.watch=METRIC, fit.early_stopping=true or fit.schedule=plateau."
        )


def diverged(what: str, settings: Settings) -> DivergedError:
    """Return the error for a training that came to nothing, with what to set instead."""
    rate, cure = settings.lr, "a smaller fit.lr"
    if settings.optimizer == NEWTON:
        rate, cure = settings.newton_lr, "a smaller fit.newton_lr or a larger fit.damping"
    elif settings.weight_decay > 1 and settings.lr * settings.weight_decay > LARGEST_DECAY:
        cure = "a smaller fit.weight_decay"
    return DivergedError(f"training diverged: {what} with optimizer {settings.optimizer}, lr {rate:g}; set {cure}.")
