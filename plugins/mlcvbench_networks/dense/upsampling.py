"""Making maps larger: fixed interpolation, and a transposed convolution that begins as one and learns."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def nearest(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return maps (B, C, H, W) at `size` (height, width), each pixel that of the source pixel it lies in."""
    return functional.interpolate(maps, size, mode="nearest")


def bilinear(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return maps (B, C, H, W) at `size` (height, width), interpolated between pixel centres.

    Pixels are areas (align_corners=False): what is enlarged and shrunk again stays where it was. Beyond the outermost
    centres their values go on.
    """
    return functional.interpolate(maps, size, mode="bilinear", align_corners=False)


class Transposed(nn.ConvTranspose2d):
    """Enlarge maps (B, C, H, W) by a whole `factor` through a learned kernel that begins as bilinear interpolation.

    Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation" (2015), section 3.3. Each
    channel begins with its own map alone. Inside, the first output is that of `bilinear`; within a factor of the border
    it is darker, for the map ends in zeros there and does not go on.
    """

    def __init__(self, channels: int, factor: int) -> None:
        if factor < 1:
            raise ValueError(f"wanted a factor of at least 1 to enlarge by, got {factor}.")
        # the kernel is 2 factor - 1 long where factor is odd: its peak is on a pixel; otherwise it is between two
        super().__init__(channels, channels, 2 * factor - factor % 2, factor, padding=factor // 2, bias=False)
        self.factor = factor
        with torch.no_grad():
            self.weight.zero_()
            self.weight[range(channels), range(channels)] = bilinear_kernel(factor)

    def forward(self, maps: torch.Tensor, output_size: list[int] | tuple[int, int] | None = None) -> torch.Tensor:
        """Return maps (B, C, factor H, factor W), or the first `output_size` (height, width) pixels of them.

        The scale stays `factor`, so that a map of ceil(51 / 8) = 7 rows gives exactly the 51 of the image it came from.
        ValueError when there are not so many.
        """
        enlarged = super().forward(maps)
        if output_size is None:
            return enlarged
        height, width = output_size
        if height > enlarged.shape[2] or width > enlarged.shape[3]:
            got = f"{enlarged.shape[2]}x{enlarged.shape[3]}"
            raise ValueError(f"{self.factor} times the map is {got} pixels, less than the wanted {height}x{width}.")
        return enlarged[:, :, :height, :width]


def bilinear_kernel(factor: int) -> torch.Tensor:
    """Return the kernel float32 (k, k) by which a transposed convolution of stride `factor` interpolates.

    >>> [round(float(value), 2) for value in bilinear_kernel(2).diagonal().sqrt()]
    [0.25, 0.75, 0.75, 0.25]
    """
    side = 2 * factor - factor % 2
    distance = (torch.arange(side, dtype=torch.float32) - (side - 1) / 2).abs()
    line = 1 - distance / factor
    return torch.outer(line, line)


class Interpolated(nn.Module):
    """Enlarge maps (B, C, H, W) by a whole `factor`, `nearest` or `bilinear`; nothing is learned."""

    def __init__(self, kind: str, factor: int) -> None:
        super().__init__()
        self.kind, self.factor = kind, factor

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return maps (B, C, factor H, factor W)."""
        size = self.factor * maps.shape[2], self.factor * maps.shape[3]
        return nearest(maps, size) if self.kind == "nearest" else bilinear(maps, size)


def enlarging(kind: str, channels: int, factor: int) -> nn.Module:
    """Return what enlarges maps by a whole factor: `nearest`, `bilinear` or `transposed`."""
    return Transposed(channels, factor) if kind == "transposed" else Interpolated(kind, factor)
