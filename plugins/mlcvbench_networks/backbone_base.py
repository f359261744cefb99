"""What every backbone is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import nn

from mlcvbench.errors import RequestError

STRIDES = (4, 8, 16, 32)
"""Pixels of the image a cell, of C2, C3, C4 and C5."""


class Backbone(nn.Module, ABC):
    """Turns images into four maps, or the first ones of them; `channels` are those of C2 to C5.

    After `add_half` there are five, C1 at stride 2 first.
    """

    channels: Sequence[int]
    gives_half: bool = False

    @abstractmethod
    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Map images float (B, C, H, W) in [0, 1] to C2 to C5: (B, channels[i], H / STRIDES[i], W / STRIDES[i]).

        Sides are rounded up where they do not divide, in some networks of the libraries down.
        """

    def cut(self, level: int) -> None:
        """Remove the layers that only maps beyond C`level` need, 2 to 5; `forward` then gives those up to it."""

    def add_half(self) -> None:
        """Let `forward` also give C1, the last map at half the size of the image; RequestError where there is none."""
        raise RequestError(f"{type(self).__name__} has no map at half the size of the image; take another backbone.")
