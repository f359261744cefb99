"""A locally connected layer: a convolution whose every place has a kernel of its own."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class LocallyConnected(nn.Module):
    """Map (B, C, H, W) to (B, D, h, w) with h = (H - k) // stride + 1, nothing padded (Taigman et al. 2014, section 3).

    weight: (h w, C k k, D), a matrix a place, whose rows are in the order of `unfold`; bias: (h w, D). It shares
    nothing between places, so that it costs as many multiply-adds as a convolution and h w times the parameters.
    """

    def __init__(self, inside: int, outside: int, kernel: int, size: tuple[int, int], stride: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.size = ((size[0] - kernel) // stride + 1, (size[1] - kernel) // stride + 1)
        places, values = self.size[0] * self.size[1], inside * kernel**2
        self.weight = nn.Parameter(torch.randn(places, values, outside) * (2 / values) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(places, outside))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        patches = functional.unfold(maps, self.kernel, stride=self.stride).permute(2, 0, 1)  # (h w, B, C k k)
        outputs = torch.bmm(patches, self.weight.to(patches.dtype)) + self.bias[:, None]  # (h w, B, D)
        return outputs.permute(1, 2, 0).reshape(len(maps), self.bias.shape[1], *self.size)
