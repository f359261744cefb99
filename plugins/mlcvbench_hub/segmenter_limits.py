"""What the settings of a segmenter of torchvision rule out by themselves. Imports nothing heavy."""

from __future__ import annotations

from mlcvbench.errors import RequestError
from mlcvbench.specs import Chosen
from mlcvbench_networks.dense.limits import check_several_images

WITHOUT_SECOND = "lraspp"
"""How the networks begin that have no second classifier."""
POOLING = "deeplab"
"""How the networks begin that pool their whole map."""


def check_settings(chosen: Chosen) -> None:
    """Refuse a second classifier of a network that has none, and steps of one image where they cannot train it."""
    network = chosen.name.partition(":")[2]
    check_auxiliary(network, asked=chosen.params["auxiliary"])
    if network.startswith(POOLING):
        check_several_images(chosen)


def check_auxiliary(network: str, *, asked: bool) -> None:
    """Refuse to train a network of torchvision with a second classifier that it does not have: RequestError."""
    if asked and network.startswith(WITHOUT_SECOND):
        raise RequestError(
            f"torchvision:{network} has no auxiliary classifier; model.auxiliary is for those of FCN and DeepLabv3."
        )
