"""How many channels a layer has when all widths of a network are scaled."""

from __future__ import annotations


def scaled_width(channels: int, width: float) -> int:
    """Return a number of channels times `width`, a multiple of 8 where it was one, at least 4.

    >>> scaled_width(64, 0.25), scaled_width(96, 0.3), scaled_width(6, 1.0)
    (16, 32, 6)
    """
    if width == 1.0:
        return channels
    return max(4, round(channels * width / 8) * 8)
