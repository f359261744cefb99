"""U-Net (Ronneberger, Fischer and Brox, MICCAI 2015): down, up again, and at each level what was there before.

Published: `model.width=64 model.normed=false model.padding=valid model.dropout=0.5`; one channel and two classes need
31,030,658 parameters, and 572 pixels a side give 388. With `model.padding=same` and batch norms, as most build it
today, three channels and 21 classes need 31,038,933.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from mlcvbench.contract import Problem
from mlcvbench_fcn.settings import UNET_FIT
from mlcvbench_networks.bases.segmenter import Segmenter
from mlcvbench_networks.dense.upsampling import Interpolated
from mlcvbench_networks.initialisation import he_initialised


class UNet(Segmenter):
    """Two 3x3 convolutions a level; the channels double on the way down. The loss is the plain cross-entropy.

    `padding`: `same` keeps the size of maps; `valid` convolves only where a kernel fits, as the paper does, on an image
    that is continued by its mirror image (section 2, figure 2), so that every pixel is answered.
    """

    FIT = UNET_FIT

    def __init__(
        self,
        problem: Problem,
        width: int = 16,
        levels: int = 4,
        padding: str = "same",
        normed: bool = True,
        dropout: float = 0.0,
        upsampling: str = "transposed",
    ) -> None:
        super().__init__(
            problem,
            width=width,
            levels=levels,
            padding=padding,
            normed=normed,
            dropout=dropout,
            upsampling=upsampling,
        )
        self.widths = [width * 2**level for level in range(levels + 1)]
        self.padding, self.normed, self.dropout, self.upsampling = padding, normed, dropout, upsampling

    def network(self) -> nn.Module:
        network = UNetNetwork(
            self.channels,
            len(self.problem.classes),
            self.widths,
            valid=self.padding == "valid",
            normed=self.normed,
            dropout=self.dropout,
            upsampling=self.upsampling,
        )
        return Mirrored(network) if network.valid else network


class UNetNetwork(nn.Module):
    """Figure 1. Sides of `same` divide by 2^levels; those of `valid` are what `needed` says, and `given` comes out."""

    def __init__(
        self,
        channels: int,
        classes: int,
        widths: list[int],
        *,
        valid: bool,
        normed: bool,
        dropout: float,
        upsampling: str,
    ) -> None:
        super().__init__()
        self.valid, self.steps = valid, len(widths) - 1

        def twice(inside: int, outside: int) -> nn.Sequential:
            return nn.Sequential(*_layer(inside, outside, valid, normed), *_layer(outside, outside, valid, normed))

        self.down = nn.ModuleList(twice(inside, outside) for inside, outside in pairwise((channels, *widths)))
        self.dropout = nn.Dropout(dropout)  # "at the end of the contracting path", section 3.1
        upward = list(pairwise(widths[::-1]))
        self.up = nn.ModuleList(_up(inside, outside, upsampling) for inside, outside in upward)
        self.merged = nn.ModuleList(twice(2 * outside, outside) for _, outside in upward)
        self.classes = nn.Conv2d(widths[0], classes, 1)
        he_initialised(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (B, C, H, W) to logits (B, classes, H, W), of `valid` those of the inner pixels alone."""
        maps, skips = images, []
        for level, part in enumerate(self.down):
            maps = part(maps if level == 0 else nn.functional.max_pool2d(maps, 2))
            skips.append(maps)
        maps = self.dropout(maps)
        for up, merged, skip in zip(self.up, self.merged, skips[-2::-1], strict=True):
            larger = up(maps)
            maps = merged(torch.cat((cropped(skip, (larger.shape[2], larger.shape[3])), larger), dim=1))
        return self.classes(maps)  # type: ignore[no-any-return]

    def given(self, side: int) -> int:
        """Return how many pixels of a side `valid` answers.

        >>> plain = {"normed": False, "dropout": 0.0, "upsampling": "nearest"}
        >>> UNetNetwork(1, 2, [8, 16, 32, 64, 128], valid=True, **plain).given(572)
        388
        """
        for _ in range(self.steps):
            side = (side - 4) // 2
        side -= 4
        for _ in range(self.steps):
            side = 2 * side - 4
        return side

    def needed(self, side: int) -> int:
        """Return the least side of which `valid` answers this many pixels at least, with no pixel lost in pooling."""
        for _ in range(self.steps):
            side = -(-(side + 4) // 2)
        side += 4
        for _ in range(self.steps):
            side = 2 * side + 4
        return side


class Mirrored(nn.Module):
    """A network of valid convolutions on images that are continued by their mirror image, so that it answers all."""

    def __init__(self, network: UNetNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (B, C, H, W) to logits (B, classes, H, W)."""
        size = images.shape[2], images.shape[3]
        for axis, side in enumerate(size, start=2):
            needed = self.network.needed(side)
            before = (needed - self.network.given(needed)) // 2 + (self.network.given(needed) - side) // 2
            images = images.index_select(axis, mirrored(side, before, needed).to(images.device))
        return cropped(self.network(images), size)


def mirrored(side: int, before: int, whole: int) -> torch.Tensor:
    """Return which of `side` pixels each of `whole` is: `before` ones ahead of the first, mirrored without the edge.

    >>> mirrored(3, 2, 8).tolist()
    [2, 1, 0, 1, 2, 1, 0, 1]
    """
    period = max(1, 2 * side - 2)
    place = (torch.arange(whole) - before) % period
    return torch.minimum(place, (period - place) % period if side > 1 else place)


def cropped(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return the middle of maps (B, C, H, W), of `size` (height, width)."""
    top, left = (maps.shape[2] - size[0]) // 2, (maps.shape[3] - size[1]) // 2
    return maps[:, :, top : top + size[0], left : left + size[1]]


def _layer(inside: int, outside: int, valid: bool, normed: bool) -> list[nn.Module]:
    norm = [nn.BatchNorm2d(outside)] if normed else []
    return [nn.Conv2d(inside, outside, 3, padding=0 if valid else 1, bias=not normed), *norm, nn.ReLU(inplace=True)]


def _up(inside: int, outside: int, upsampling: str) -> nn.Module:
    """Return what doubles the sides and brings the channels to half: a 2x2 of stride 2, or 1x1 and interpolation."""
    if upsampling == "transposed":
        return nn.ConvTranspose2d(inside, outside, 2, 2)
    return nn.Sequential(nn.Conv2d(inside, outside, 1), Interpolated(upsampling, 2))
