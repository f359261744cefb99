"""Scores of a coarse map at the size of the image."""

from __future__ import annotations

from torch import nn

from mlcvbench_networks.dense.upsampling import enlarging


def at_image_size(upsampling: str, classes: int, stride: int) -> nn.Module:
    """Return what enlarges the scores of a map of this stride; for `bilinear` nothing, since the base does that."""
    return nn.Identity() if upsampling == "bilinear" else enlarging(upsampling, classes, stride)
