"""The networks of torchvision with auxiliary classifiers, and what these ask for. Imports nothing heavy."""

from __future__ import annotations

from mlcvbench.errors import RequestError
from mlcvbench.specs import Chosen

HEADS = {"googlenet": ("aux1", "aux2"), "inception_v3": ("AuxLogits",)}
"""The networks that were trained with auxiliary classifiers, and what torchvision calls these."""
LEAST_SIDES = {"googlenet": 1, "inception_v3": 299}
"""Pixels a side that the auxiliary classifiers can reduce."""


def check_settings(chosen: Chosen) -> None:
    """Refuse auxiliary classifiers of a network that has none, or on images that these cannot reduce."""
    if chosen.params["auxiliary"]:
        check_auxiliary(chosen.name.partition(":")[2], chosen.params["size"])


def check_auxiliary(network: str, size: int | None) -> None:
    """Refuse to train a network of torchvision with auxiliary classifiers: RequestError. `size` None is its usual."""
    if network not in HEADS:
        raise RequestError(
            f"torchvision:{network} has no auxiliary classifiers; model.auxiliary is for {' and '.join(HEADS)}."
        )
    least = LEAST_SIDES[network]
    if size is not None and size < least:
        raise RequestError(
            f"torchvision:{network} with model.auxiliary: wanted a model.size of at least {least}, got {size}; set "
            f"model.size={least} or more, or leave model.auxiliary out."
        )
