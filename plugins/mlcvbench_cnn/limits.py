"""What the settings of a network rule out by themselves, said before anything starts. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlcvbench.errors import RequestError
from mlcvbench.specs import Chosen
from mlcvbench_cnn.widths import scaled_width

ALEXNET_SIDES = {"imagenet": 63, "small": 15}
ZFNET_SIDE = 53
VGG_SIDE = 32
"""Pixels a side below which a layer would get nothing, for alexnet by its stem. The other networks take any image."""
BASE_WIDTHS = {"resnext50": 4, "resnext101": 8}
"""Channels of one of 32 groups where a residual network has 64."""
PLAIN = ("alexnet", "zfnet")
"""Networks that have no batch norm and no setting for one."""


def check_settings(chosen: Chosen) -> None:
    """Refuse images that would be made too small, widths too small to divide, and batch norm over single images."""
    name, params = chosen.name, chosen.params
    size, least = params.get("size", 0), least_side(name, params)
    if 0 < size < least:  # 0 leaves the images as they are
        other = ", or model.stem=small" if size >= least_side(name, {**params, "stem": "small"}) else ""
        raise RequestError(
            f"{name}: wanted a model.size of at least {least}, got {size}; set model.size={least} or more{other}."
        )
    if name in BASE_WIDTHS:
        check_groups(name, params["width"], BASE_WIDTHS[name])
    if has_batch_norm(name, params):
        check_steps(name, chosen.fit)


def least_side(name: str, params: Mapping[str, Any]) -> int:
    """Return the pixels of the shortest side that a network can reduce."""
    if name == "alexnet":
        return ALEXNET_SIDES[params["stem"]]
    if name == "zfnet":
        return ZFNET_SIDE
    return VGG_SIDE if name.startswith("vgg") else 1


def has_batch_norm(name: str, params: Mapping[str, Any]) -> bool:
    """Return whether a network with these settings standardises over the batch anywhere."""
    if "norm" in params:
        return bool(params["norm"] == "batch")
    return bool(params.get("batch_norm", name not in PLAIN))


def check_groups(name: str, width: float, base: int) -> None:
    """Refuse a width that leaves nothing of a group, which has floor(planes * base / 64) channels: RequestError."""
    if scaled_width(64, width) * base < 64:
        raise RequestError(f"{name}: width={width:g} leaves a group no channel; set model.width={1 / base:g} or more.")


def check_steps(name: str, fit: Mapping[str, Any]) -> None:
    """Refuse to train batch norm on one image a step: a single value has no deviation. RequestError."""
    if fit["optimizer"] == "online_gd":
        cure = "fit.optimizer=sgd"
    elif fit["batch"] == 1:
        cure = "fit.batch=2 or more"
    else:
        return
    raise RequestError(f"{name}: batch norm needs at least 2 images a step, got 1; set {cure}.")
