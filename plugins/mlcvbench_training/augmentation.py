"""Random label-preserving changes of a batch, each image by itself, drawn from a generator the loop owns.

Images are float32 (B, C, H, W) in [0, 1] and stay so. Nothing is drawn for a change that is off.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from mlcvbench_training.settings import Settings

LARGEST_SHIFT = 14
"""An image moves by at most its side / 14 in each direction: 2 pixels at 28, at least 1."""
GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the grey value (ITU-R BT.601)."""
YIQ = (GREY, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))
"""Grey value and the two axes of colour (FCC, NTSC), by red, green and blue."""


def changes_images(settings: Settings) -> bool:
    """Return whether `augment` does anything."""
    off = settings.augmentation == "none" and settings.cutout == "none" and settings.crop >= 1
    return not off or bool(settings.rotate or settings.flip or settings.colour)


def augment(images: torch.Tensor, settings: Settings, generator: torch.Generator) -> torch.Tensor:
    """Return the images changed as `settings` say: shift, rotation and crop, mirror, colour, cutout, in this order."""
    if settings.augmentation == "shift":
        images = shift(images, generator)
    if settings.rotate or settings.crop < 1:
        images = turn_and_crop(images, settings.rotate, settings.crop, generator)
    if settings.flip:
        images = flip(images, settings.flip, generator)
    if settings.colour:
        images = change_colour(images, settings.colour, generator)
    if settings.cutout != "none":
        side = settings.cutout_size or max(1, round(min(images.shape[2:]) / 4))
        images = cut_out(images, side, inside=settings.cutout == "inside", generator=generator)
    return images


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


def flip(images: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """Return the images, each mirrored left to right with probability `share`."""
    import torch

    chosen = _uniform(len(images), generator, images) < share
    return torch.where(chosen[:, None, None, None], images.flip(3), images)


def turn_and_crop(images: torch.Tensor, degrees: float, least: float, generator: torch.Generator) -> torch.Tensor:
    """Return each image's random window, turned and enlarged to full size (bilinear; what enters repeats the border).

    The angle is uniform in [-degrees, degrees]; the window's side, as a share of the image's, in [least, 1], and its
    place among those that lie inside.
    """
    import torch
    from torch.nn import functional

    count, _, height, width = images.shape
    angle, side, right, down = (_uniform(count, generator, images) for _ in range(4))
    angle = (2 * angle - 1) * math.radians(degrees)
    side = least + (1 - least) * side
    cosine, sine = side * angle.cos(), side * angle.sin()
    slack = 1 - side  # of the window's centre, in the grid's units of half an image
    across = torch.stack([cosine, -sine * height / width, slack * (2 * right - 1)], 1)
    along = torch.stack([sine * width / height, cosine, slack * (2 * down - 1)], 1)
    grid = functional.affine_grid(torch.stack([across, along], 1), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def change_colour(images: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    """Return the images with brightness, contrast and (of three channels) saturation times 1 +- `strength`."""
    import torch

    factors = (1 + (2 * _uniform(3 * len(images), generator, images) - 1) * strength).reshape(3, -1, 1, 1, 1)
    images = (images * factors[0]).clamp(0, 1)
    middle = images.mean((1, 2, 3), keepdim=True)
    images = (middle + (images - middle) * factors[1]).clamp(0, 1)
    if images.shape[1] == 3:
        grey = (images * torch.tensor(GREY, device=images.device)[:, None, None]).sum(1, keepdim=True)
        images = (grey + (images - grey) * factors[2]).clamp(0, 1)
    return images


def turn_hues(images: torch.Tensor, degrees: float, generator: torch.Generator) -> torch.Tensor:
    """Return images of three channels with all hues turned by an angle uniform in [-degrees, degrees].

    Colours turn about the axis of greys in YIQ, so that grey values (ITU-R BT.601) stay but for what leaves [0, 1].
    """
    import torch

    if images.shape[1] != 3:
        return images
    angle = (2 * _uniform(len(images), generator, images) - 1) * math.radians(degrees)
    cosine, sine = angle.cos(), angle.sin()
    turn = torch.eye(3, device=images.device).repeat(len(images), 1, 1)
    turn[:, 1, 1], turn[:, 1, 2], turn[:, 2, 1], turn[:, 2, 2] = cosine, -sine, sine, cosine
    yiq = torch.tensor(YIQ, dtype=torch.float64)
    matrices = torch.linalg.inv(yiq).to(turn) @ turn @ yiq.to(turn)
    return torch.einsum("bij,bjhw->bihw", matrices, images).clamp(0, 1)


def cut_out(images: torch.Tensor, side: int, *, inside: bool, generator: torch.Generator) -> torch.Tensor:
    """Return the images with a black square of `side` pixels in each (DeVries and Taylor, 2017).

    Its centre is any pixel, so it may leave the image; with `inside`, the course notes' variant, it lies wholly inside
    and only half of the images get one.
    """
    import torch

    count, _, height, width = images.shape
    y, x, coin = (_uniform(count, generator, images) for _ in range(3))
    if inside:
        top, left = (y * max(height - side + 1, 1)).floor(), (x * max(width - side + 1, 1)).floor()
    else:
        top, left = (y * height).floor() - side // 2, (x * width).floor() - side // 2
    rows, columns = torch.arange(height, device=images.device), torch.arange(width, device=images.device)
    in_rows = (rows >= top[:, None]) & (rows < top[:, None] + side)  # (B, H)
    in_columns = (columns >= left[:, None]) & (columns < left[:, None] + side)  # (B, W)
    square = in_rows[:, :, None] & in_columns[:, None, :]
    if inside:
        square = square & (coin < 0.5)[:, None, None]
    return images.masked_fill(square[:, None], 0.0)


def _uniform(count: int, generator: torch.Generator, like: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.rand(count, generator=generator).to(like.device)
