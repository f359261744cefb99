"""Memory order of a network's weights: channels last, which trains a quarter faster on CPUs, where the network can."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def to_channels_last(module: nn.Module) -> None:
    """Reorder weights and buffers of four axes in place; `Module.to` would fail on five."""
    import torch

    for tensor in [*module.parameters(), *module.buffers()]:
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)


def runs_channels_last(module: nn.Module, image: tuple[int, int, int]) -> bool:
    """Tell whether a network answers images of shape (C, H, W) with its weights in channels-last order.

    Some layers look at a map's memory as it lies and fail on another order. That is found out on a copy without data;
    where such a copy runs in neither order nothing is known, and the answer is yes. Takes a second in a new process.
    """
    return _runs(module, image, channels_last=True) or not _runs(module, image, channels_last=False)


def _runs(module: nn.Module, image: tuple[int, int, int], *, channels_last: bool) -> bool:
    """Tell whether a copy of the network without data answers one image."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode  # shapes and memory orders as on the real device

    mode = FakeTensorMode(allow_non_fake_inputs=True)
    try:
        memo = {id(tensor): mode.from_tensor(tensor) for tensor in [*module.parameters(), *module.buffers()]}
        hollow = copy.deepcopy(module, memo).eval()
        if channels_last:
            to_channels_last(hollow)
        with mode, torch.no_grad(), torch.random.fork_rng(devices=()):
            hollow(torch.empty((1, *image)))
    except Exception:  # noqa: BLE001 - a network may raise anything, and one that looks at values has none here
        return False
    return True
