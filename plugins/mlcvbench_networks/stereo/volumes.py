"""How well each pixel of the left map matches those of the right one, a disparity after another, and the best of them.

The left pixel x is seen in the right image at x - d, d >= 0.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from mlcvbench_networks.arithmetic import check_shapes, in_full

LEAST_BLOCK = 32
"""Columns that are multiplied at once where there are fewer levels than that."""


def correlation(left: torch.Tensor, right: torch.Tensor, levels: int) -> torch.Tensor:
    """Return (B, levels, H, W): the mean over channels of left(x) right(x - d) for d = 0 .. levels - 1.

    Of features (B, C, H, W). Mayer et al., "A Large Dataset to Train Convolutional Networks for Disparity, Optical Flow
    and Scene Flow Estimation" (2016), section 5: one-sided and along the row; its largest displacement of 40 is 41
    levels. Where x - d lies left of the image it is 0.

    A block of columns is multiplied with all that any of them asks for, as matrices, and each column's own products are
    picked out: up to twice as many as one shift for each level would take, and several times as fast.
    """
    check_shapes(left=left, right=right)
    block, reach = max(levels, LEAST_BLOCK), levels - 1
    padded = functional.pad(right, (reach, 0))  # column x is at x + reach
    parts = []
    for first in range(0, left.shape[3], block):
        own = left[..., first : first + block].permute(0, 2, 3, 1)  # (B, H, columns, C)
        columns = own.shape[2]
        other = padded[..., first : first + columns + reach].permute(0, 2, 1, 3)  # (B, H, C, columns + reach)
        products = own @ other
        asked = torch.arange(columns, device=left.device)[:, None] + reach - torch.arange(levels, device=left.device)
        parts.append(products.gather(3, asked.expand(*products.shape[:2], -1, -1)))  # (B, H, columns, levels)
    return torch.cat(parts, 2).permute(0, 3, 1, 2) / left.shape[1]


def concatenation(left: torch.Tensor, right: torch.Tensor, levels: int) -> torch.Tensor:
    """Return (B, 2 C, levels, H, W): the channels of left(x), then those of right(x - d), for d = 0 .. levels - 1.

    Of features (B, C, H, W). Kendall et al., "End-to-End Learning of Geometry and Context for Deep Stereo Regression"
    (GC-Net, 2017), section 3.2. Where x - d lies left of the image both halves are 0.
    """
    check_shapes(left=left, right=right)
    columns, disparity = torch.arange(left.shape[3], device=left.device), torch.arange(levels, device=left.device)
    met = columns >= disparity[:, None, None]  # (levels, 1, W)
    shifted = torch.stack([_shifted(right, level) for level in range(levels)], 2)
    return torch.cat([left[:, :, None] * met, shifted], 1)


def soft_argmin(costs: torch.Tensor, step: float = 1.0) -> torch.Tensor:
    """Return disparities (B, 1, H, W) in pixels: the mean of d = 0, step, 2 step .. under softmax(-costs (B, D, H, W)).

    GC-Net, equation 1; float32 at least. It lies between levels where costs are alike on both sides of it, and it is
    differentiable. Where two matches are equally good it lies between them, where there is nothing. Costs are small
    where a match is good: of a correlation, give the negative.
    """
    costs = in_full(costs)
    disparity = torch.arange(costs.shape[1], device=costs.device, dtype=costs.dtype)[:, None, None] * step
    return ((-costs).softmax(1) * disparity).sum(1, keepdim=True)


def _shifted(maps: torch.Tensor, pixels: int) -> torch.Tensor:
    """Return maps (B, C, H, W) moved to the right by so many pixels; zeros enter."""
    width = maps.shape[3]
    return functional.pad(maps[..., : max(width - pixels, 0)], (min(pixels, width), 0))
