"""From the coarsest map of an encoder back up to the image, beside the encoder's finer maps: a decoder with skips.

Godard, Mac Aodha and Brostow, "Unsupervised Monocular Depth Estimation with Left-Right Consistency" (2017), section
3.3; with other settings that of Godard et al., "Digging into Self-Supervised Monocular Depth Estimation" (2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from mlcvbench_networks.dense.upsampling import nearest


@dataclass(frozen=True, slots=True)
class Decoding:
    """How a decoder goes up and what it tells.

    `widths`: channels at strides 1, 2, 4 .., as many as the encoder has maps. `finest`: the level at which it ends, 0
    is the image's size, 1 half of it. `scales`: the levels from there on that tell something, `outputs` channels each.
    `normed`: batch norm and ReLU; otherwise, as published, ELU, with reflected borders. `feeds`: what a coarser level
    tells goes into the next finer one. `late`: a level's first convolution is before its enlargement, a quarter of the
    work (2019), instead of after it (2017).
    """

    widths: tuple[int, ...]
    finest: int = 0
    scales: int = 1
    outputs: int = 1
    normed: bool = True
    feeds: bool = False
    late: bool = True


class UpDecoder(nn.Module):
    """At each level: 3x3 and twice the size, the encoder's map of that size beside it, 3x3; and a 3x3 that tells.

    `channels`: those of the encoder's maps at strides 2, 4, 8 .., from fine to coarse.
    """

    def __init__(self, channels: Sequence[int], decoding: Decoding) -> None:
        super().__init__()
        self.decoding = decoding
        levels = range(decoding.finest, len(channels))
        told = [level - decoding.finest < decoding.scales for level in levels]
        inside = [*decoding.widths[decoding.finest + 1 :], channels[-1]]
        skips = [channels[level - 1] if level else 0 for level in levels]
        fed = [decoding.outputs if decoding.feeds and coarser else 0 for coarser in (*told[1:], False)]
        widths = decoding.widths[decoding.finest :]
        make = _normed if decoding.normed else _Published
        self.ups = nn.ModuleList(make(a, b) for a, b in zip(inside, widths, strict=True))
        self.joins = nn.ModuleList(
            make(width + skip + more, width) for width, skip, more in zip(widths, skips, fed, strict=True)
        )
        self.heads = nn.ModuleList(
            _Reflected(width, decoding.outputs) if not decoding.normed else nn.Conv2d(width, decoding.outputs, 3, 1, 1)
            for width, tells in zip(widths, told, strict=True)
            if tells
        )

    def forward(self, maps: Sequence[torch.Tensor], *, all_scales: bool = True) -> list[torch.Tensor]:
        """Map the encoder's maps, fine to coarse, to what the levels tell, fine to coarse; or the finest one alone."""
        decoding, outputs = self.decoding, list[torch.Tensor]()
        coarse = maps[-1]
        for level in reversed(range(len(self.ups))):
            stride = level + decoding.finest
            finer = maps[stride - 1] if stride else None
            size = _doubled(coarse) if finer is None else (finer.shape[2], finer.shape[3])
            coarse = nearest(self.ups[level](coarse), size) if decoding.late else self.ups[level](nearest(coarse, size))
            parts = [coarse] if finer is None else [coarse, finer]
            if decoding.feeds and outputs:
                parts.append(nearest(outputs[0], size))
            coarse = self.joins[level](torch.cat(parts, 1) if len(parts) > 1 else coarse)
            if level < len(self.heads) and (all_scales or decoding.feeds or level == 0):
                outputs.insert(0, self.tell(self.heads[level](coarse)))
        return outputs if all_scales else outputs[:1]

    def tell(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return what a head's outputs say, which the next finer level is fed; override for other than the outputs."""
        return outputs


class _Reflected(nn.Conv2d):
    """A 3x3 that sees the map reflected beyond its border; a single row or column is repeated, for it has no mirror."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(inside, outside, 3)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        mode = "reflect" if min(maps.shape[2:]) > 1 else "replicate"
        return super().forward(functional.pad(maps, (1, 1, 1, 1), mode))


class _Published(nn.Sequential):
    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(_Reflected(inside, outside), nn.ELU(inplace=True))


def _normed(inside: int, outside: int) -> nn.Sequential:
    convolution = nn.Conv2d(inside, outside, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outside), nn.ReLU(inplace=True))


def _doubled(maps: torch.Tensor) -> tuple[int, int]:
    return 2 * maps.shape[2], 2 * maps.shape[3]
