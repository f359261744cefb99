"""Random label-preserving changes of a batch, drawn from a generator the loop owns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

LARGEST_SHIFT = 14
"""An image moves by at most its side / 14 in each direction: 2 pixels at 28, at least 1."""


def shift(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return images (B, C, H, W), each moved by its own whole number of pixels; what enters repeats the border."""
    import torch
    from torch.nn import functional

    count, _, height, width = images.shape
    reach_y, reach_x = max(1, round(height / LARGEST_SHIFT)), max(1, round(width / LARGEST_SHIFT))
    padded = functional.pad(images, (reach_x, reach_x, reach_y, reach_y), mode="replicate")
    top = torch.randint(2 * reach_y + 1, (count, 1), generator=generator).to(images.device)
    left = torch.randint(2 * reach_x + 1, (count, 1), generator=generator).to(images.device)
    rows = top + torch.arange(height, device=images.device)  # (B, H)
    columns = left + torch.arange(width, device=images.device)  # (B, W)
    sample = torch.arange(count, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[sample, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
