"""All pairs of pixels of each row, compared once, and what an estimate finds around itself in them.

Lipson, Teed and Deng, "RAFT-Stereo: Multilevel Recurrent Field Transforms for Stereo Matching" (2021), section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from mlcvbench_networks.arithmetic import check_shapes, in_full


def row_pyramid(left: torch.Tensor, right: torch.Tensor, levels: int) -> list[torch.Tensor]:
    """Return how alike the pixels of features (B, C, H, W) are: (B, H, W, W'), W' halved from level to level.

    Equation 1: the product of left(x) and right(x') over all channels, here divided by the root of their number. A
    coarser level is the mean of two neighbours x' of the one before (equation 2), so that W' must not be 1 before.
    """
    check_shapes(left=left, right=right)
    products = left.permute(0, 2, 3, 1) @ right.permute(0, 2, 1, 3)
    pyramid = [in_full(products) / left.shape[1] ** 0.5]
    for _ in range(levels - 1):
        pyramid.append(functional.avg_pool2d(pyramid[-1], (1, 2)))
    return pyramid


def looked_up(pyramid: Sequence[torch.Tensor], x: torch.Tensor, radius: int) -> torch.Tensor:
    """Return (B, levels (2 radius + 1), H, W): how alike a pixel is to those around x, on each level.

    From x - radius to x + radius. `x`: float32 (B, H, W), where in the right map each pixel is thought to be, in pixels
    of the finest level. Between pixels it is interpolated linearly, beyond the map it is 0. Through `x` no gradient
    comes.
    """
    steps = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
    around = [_at(pairs, x.detach()[..., None] / 2**level + steps) for level, pairs in enumerate(pyramid)]
    return torch.cat(around, 3).permute(0, 3, 1, 2)


def _at(pairs: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return pairs (B, H, W, W') at positions x (B, H, W, n) along the last side."""
    before = x.floor()
    share, place = x - before, before.long()
    return torch.lerp(_whole(pairs, place), _whole(pairs, place + 1), share)


def _whole(pairs: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Return pairs at whole positions, 0 beyond the map."""
    last = pairs.shape[3] - 1
    return pairs.gather(3, place.clamp(0, last)) * ((place >= 0) & (place <= last))
