"""What every backbone is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import nn

STRIDES = (4, 8, 16, 32)
"""Pixels of the image a cell, of C2, C3, C4 and C5."""


class Backbone(nn.Module, ABC):
    """Turns images into four maps, or the first ones of them; `channels` are those of C2 to C5."""

    channels: Sequence[int]

    @abstractmethod
    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Map images float (B, C, H, W) in [0, 1] to C2 to C5: (B, channels[i], H / STRIDES[i], W / STRIDES[i]).

        Sides are rounded up where they do not divide, in some networks of the libraries down.
        """

    def cut(self, level: int) -> None:
        """Remove the layers that only maps beyond C`level` need, 2 to 5; `forward` then gives those up to it."""
