"""What every loss here holds to: float32 at least, a mean over nothing is 0, and shapes that differ are refused."""

from __future__ import annotations

import torch


def in_full(values: torch.Tensor) -> torch.Tensor:
    """Return half-precision values as float32, others as they are: bfloat16 has no pixel between 700 and 704."""
    return values.float() if values.itemsize < 4 else values


def mean_over(values: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Return the mean of `values` where `chosen` (bool, of the same shape) is true.

    Where it is true nowhere, the mean is 0 with a gradient of zeros. Values that are not chosen may be infinite.
    """
    check_shapes(values=values, chosen=chosen)
    return values.masked_fill(~chosen, 0.0).sum() / chosen.sum().clamp(min=1)


def mean_over_images(values: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Return the mean over images of each one's mean of `values` (B, ...) where `chosen` (B, ...) is true.

    An image in which nothing is chosen is left out; when that is all of them, the mean is 0 with a gradient of zeros.
    """
    check_shapes(values=values, chosen=chosen)
    sums = values.masked_fill(~chosen, 0.0).flatten(1).sum(1)
    counts = chosen.flatten(1).sum(1)
    return mean_over(sums / counts.clamp(min=1), counts > 0)


def check_shapes(**tensors: torch.Tensor) -> None:
    """Refuse tensors of different shapes (ValueError), for (B, 1, H, W) less (B, H, W) is quietly (B, B, H, W)."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if len(set(shapes.values())) > 1:
        got = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"wanted tensors of one shape, got {got}.")
