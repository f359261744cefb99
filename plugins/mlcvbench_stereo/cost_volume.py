"""The cost volume: for each disparity and pixel the costs of single pixels, summed over a window around it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mlcvbench.contract import Array
from mlcvbench_stereo.pixel_costs import PixelCost

STRIP = 1 << 17
"""Bytes of the descriptions of a strip of rows; with what is computed on the way it fills a core's cache."""


def window_costs(cost: PixelCost, block: int, dtype: type[np.signedinteger], out: Array | None = None) -> Array:
    """Return (levels, H, columns): the costs summed over `block` x `block` pixels; beyond the border it is repeated.

    `out`: an array of that shape and dtype to write to, for a fresh one of this size takes a while to come.
    """
    height, columns, reach = cost.height, cost.width - cost.levels, block // 2
    shape = (cost.levels, height, columns)
    volume = np.empty(shape, dtype) if out is None or out.shape != shape or out.dtype != dtype else out
    wide = columns + 2 * reach
    for top, bottom in _strips(height, max(1, STRIP // cost.left[0][:, : cost.width].nbytes)):
        first, last = max(top - reach, 0), min(bottom + reach, height)
        line = np.zeros((bottom - top + 2 * reach) * wide + block - 1, dtype)  # the last sums need no more than exists
        rows = line[: line.size - block + 1].reshape(-1, wide)
        above, below = first - (top - reach), last - (top - reach)
        for disparity in range(cost.levels):
            rows[above:below, reach : reach + columns] = cost.at(disparity, first, last)
            if reach:
                rows[above:below, :reach] = rows[above:below, reach, None]
                rows[above:below, -reach:] = rows[above:below, -reach - 1, None]
                rows[:above], rows[below:] = rows[above], rows[below - 1]
            sums = window_sums(window_sums(line, block), block, wide)
            volume[disparity, top:bottom] = sums.reshape(bottom - top, wide)[:, :columns]
    return volume


def window_sums(line: Array, size: int, stride: int = 1) -> Array:
    """Return the sum of each `size` numbers that are `stride` apart: from sums of 2, 4, 8 .. of them.

    >>> window_sums(np.arange(5), 3)
    array([3, 6, 9])
    """
    length = len(line) - (size - 1) * stride
    doubled, count, done = line, 1, 0
    total: Array | None = None
    while True:
        if size & count:
            part = doubled[done * stride : done * stride + length]
            total = part if total is None else total + part
            done += count
        if done == size:
            assert total is not None
            return total
        doubled = doubled[: len(doubled) - count * stride] + doubled[count * stride :]
        count *= 2


def _strips(height: int, rows: int) -> Iterator[tuple[int, int]]:
    for top in range(0, height, rows):
        yield top, min(top + rows, height)
