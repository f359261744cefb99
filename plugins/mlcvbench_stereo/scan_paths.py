"""Semi-global matching: costs along straight paths that end in a pixel, summed over the directions.

Hirschmüller, "Stereo Processing by Semiglobal Matching and Mutual Information" (2008), equations 13 and 14:
L_r(p, d) = C(p, d) + min(L_r(p-r, d), L_r(p-r, d-1) + P1, L_r(p-r, d+1) + P1, m + P2) - m, m = min_k L_r(p-r, k)

A pixel needs the one before it on the path, so a path is followed step by step; but all pixels of a row are stepped to
at once, and all disparities of each. Paths along rows are followed in the transposed volume.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array


class Direction(NamedTuple):
    """A step of a path, in pixels."""

    down: int
    right: int


RIGHT, LEFT, DOWN, UP = Direction(0, 1), Direction(0, -1), Direction(1, 0), Direction(-1, 0)
DIRECTIONS = {
    "3way": (RIGHT, LEFT, DOWN),
    "hh4": (RIGHT, LEFT, DOWN, UP),
    "sgbm": (RIGHT, LEFT, DOWN, Direction(1, 1), Direction(1, -1)),
    "hh": (RIGHT, LEFT, DOWN, UP, *(Direction(down, right) for down in (1, -1) for right in (1, -1))),
}
"""By the names of OpenCV's modes."""


class Penalties(NamedTuple):
    """P1, of a step of one level, and P2, of a larger one.

    `edges`: where the intensity differs by so many grey levels from the pixel before, P2 is halved, for depth often
    steps where intensity does; at larger steps it falls as the paper's P2' / |I(p) - I(p-r)| does. 0: it is constant.
    """

    small: int
    large: int
    edges: float = 0.0


def path_sums(
    costs: Array, directions: Sequence[Direction], penalties: Penalties, guide: Array, out: Array | None = None
) -> Array:
    """Return S (levels, H, W), the sum of the path costs of every direction, of the dtype of `costs` (levels, H, W).

    `guide`: the left image in grey, (H, W). `out`: an array like `costs` to write to. The dtype must hold
    `largest_sum`.
    """
    sums = np.empty_like(costs) if out is None or out.shape != costs.shape or out.dtype != costs.dtype else out
    begun = False
    along = [direction.right for direction in directions if direction.down == 0]
    if along:
        # (levels, W, H): each row of it is a column of the image
        turned, turned_sums = _turned(costs), np.empty((costs.shape[2], costs.shape[0], costs.shape[1]), costs.dtype)
        turned_sums = turned_sums.transpose(1, 0, 2)
        for way in along:
            _sweep(turned[:, ::way], turned_sums[:, ::way], (0,), penalties, guide.T[::way], begun=way != along[0])
        _turn_back(turned_sums, sums)
        begun = True
    for way in (1, -1):
        shifts = [direction.right for direction in directions if direction.down == way]
        if shifts:
            _sweep(costs[:, ::way], sums[:, ::way], shifts, penalties, guide[::way], begun=begun)
            begun = True
    return sums


def largest_sum(largest_cost: int, directions: int, penalties: Penalties) -> int:
    """Return what no sum of path costs exceeds: L_r is at most C + P2."""
    return directions * (largest_cost + penalties.large)


def _sweep(
    costs: Array, sums: Array, shifts: Sequence[int], penalties: Penalties, guide: Array, *, begun: bool
) -> None:
    """Add to `sums` the costs of paths that come down the rows, moving by each of `shifts` columns a row.

    Where nothing has `begun`, the sums are written. Kept of a path is its costs less the least of them.
    """
    levels, height, width = costs.shape
    dtype, wide = costs.dtype, width + 2
    paths = [_Path(shift, levels, wide, penalties, dtype) for shift in shifts]
    own, large = np.zeros((levels, wide), dtype), np.full((levels, wide), penalties.large, dtype)
    for row in range(height):
        own[:, 1:-1] = costs[:, row]
        for path in paths:
            if penalties.edges:
                large[:, 1:-1] = _large(penalties, guide, row, path.shift)
            path.step(own, large)
        total = paths[0].costs if len(paths) == 1 else paths[0].costs + paths[1].costs
        for path in paths[2:]:
            total += path.costs
        if begun:
            sums[:, row] += total[:, 1:-1]
        else:
            sums[:, row] = total[:, 1:-1]


class _Path:
    """The paths of one direction at a row: `costs` (levels, columns + 2), with a column beyond the image on each side.

    All of them lie in one line, on which the pixel before is `shift` numbers away and the next level a row: numbers
    that follow on each other are the quickest to work on.
    """

    def __init__(
        self, shift: int, levels: int, wide: int, penalties: Penalties, dtype: np.dtype[np.signedinteger]
    ) -> None:
        self.shift, self.small = shift, dtype.type(penalties.small)
        self.costs = np.zeros((levels, wide), dtype)
        line = np.zeros((levels + 2) * wide + 2, dtype)
        self.last = line[1:-1].reshape(levels + 2, wide)[1:-1]  # less the least of each pixel; 0 where a path begins
        # no level beyond the range is ever better than P2
        line[: wide + 1] = line[-wide - 1 :] = penalties.large
        first, size = 1 + wide - shift, levels * wide
        self.lower, self.same, self.higher = (
            line[first + step : first + step + size].reshape(levels, wide) for step in (-wide, 0, wide)
        )

    def step(self, own: Array, large: Array) -> None:
        """Go on to a row of costs `own`, where a large step costs `large`, both (levels, columns + 2)."""
        costs = self.costs
        np.minimum(self.lower, self.higher, out=costs)
        costs += self.small
        np.minimum(costs, self.same, out=costs)
        np.minimum(costs, large, out=costs)
        costs += own
        np.subtract(costs, np.minimum.reduce(costs, axis=0), out=self.last)
        self.last[:, :: costs.shape[1] - 1] = 0  # beyond the image nothing has come


def _large(penalties: Penalties, guide: Array, row: int, shift: int) -> Array | int:
    """Return P2 of the pixels of a row, (W,)."""
    if row == 0:
        return penalties.large
    here, width = guide[row].astype(np.int16), guide.shape[1]
    there = np.pad(guide[row - 1].astype(np.int16), 1, mode="edge")[1 - shift : 1 - shift + width]
    falling = penalties.large / (1 + np.abs(here - there) / penalties.edges)
    large: Array = np.maximum(falling.astype(np.int64), penalties.small + 1)
    return large


def _turned(costs: Array) -> Array:
    """Return a view (levels, W, H) of a copy in which each column of the image is contiguous, for all levels."""
    import cv2

    levels, height, width = costs.shape
    return cv2.transpose(costs.reshape(levels * height, width)).reshape(width, levels, height).transpose(1, 0, 2)


def _turn_back(turned: Array, out: Array) -> None:
    """Write a view as `_turned` returns it to `out` (levels, H, W)."""
    import cv2

    levels, height, width = out.shape
    flat = turned.transpose(1, 0, 2).reshape(width, levels * height)
    cv2.transpose(flat, dst=out.reshape(levels * height, width))
