"""What the settings of a detector of torchvision rule out by themselves. Imports nothing heavy."""

from __future__ import annotations

from mlcvbench.errors import RequestError
from mlcvbench.specs import Chosen

OF_ONE_SIZE = "ssd"
"""How the networks begin whose priors are for one size of images."""
OF_PEOPLE = "keypointrcnn_resnet50_fpn"
"""Finds people and their joints."""


def check_settings(chosen: Chosen) -> None:
    """Refuse sizes for a network that has one, and a shorter side that is longer than the longer one may be."""
    check_sizes(chosen.name.partition(":")[2], chosen.params["min_size"], chosen.params["max_size"])


def check_sizes(network: str, min_size: int | None, max_size: int | None) -> None:
    """Refuse sizes of images that a network of torchvision cannot take: RequestError. None is its own."""
    if network.startswith(OF_ONE_SIZE) and (min_size, max_size) != (None, None):
        raise RequestError(
            f"torchvision:{network} takes images of one size alone, to which it resizes them; leave model.min_size and "
            "model.max_size out."
        )
    if min_size is not None and max_size is not None and min_size > max_size:
        raise RequestError(
            f"torchvision:{network}: model.min_size={min_size} has no effect, since no side may be longer than "
            f"model.max_size={max_size}; set a larger one."
        )
