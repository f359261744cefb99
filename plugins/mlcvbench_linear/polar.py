"""Polar features: rings around one centre, which no line parts, become intervals of the radius. Imports torch."""

from __future__ import annotations

import torch
from torch import nn

CENTRE = 0.5


class Polar(nn.Module):
    """Map points (B, 2), x and y in [0, 1], to radius and angle in (-pi, pi] about the middle.

    The angle jumps at the negative x axis: points on either side of it are neighbours, their angles are not, so that
    what a linear classifier of the angle says jumps there too.

    >>> Polar()(torch.tensor([[0.5, 1.0]])).tolist()
    [[0.5, 1.5707963705062866]]
    """

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        x, y = (points - CENTRE).unbind(1)
        return torch.stack([torch.hypot(x, y), torch.atan2(y, x)], 1)
