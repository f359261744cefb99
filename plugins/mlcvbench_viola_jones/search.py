"""Which windows of an image are looked at, and which of them a cascade accepts.

Two ways to find objects of any size. `features`, the paper's (section 5.4): the window grows by `factor` and moves by
`step` x scale pixels, and the features grow with it; the image is summed once. `image`, OpenCV's: the window stays, the
image shrinks, by bilinear interpolation; below twice the window's size every other place is looked at, and the place
beside one that the first stage refuses is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlcvbench.contract import Array
from mlcvbench_viola_jones.cascade import Cascade, Passed, ScaledCascade, Tables, has_contrast


@dataclass(frozen=True, slots=True)
class Level:
    """Windows of one size: `wide` x `high` pixels of the image, at every `step`-th place of a table of sums.

    `scale`: of the window, float32 as OpenCV has it. `size`: width and height that the image is shrunk to, or None.
    `columns`, `rows`: places in a row and in a column of the table.
    """

    scale: np.float32
    wide: int
    high: int
    step: int
    columns: int
    rows: int
    size: tuple[int, int] | None = None

    @property
    def enlarged(self) -> float:
        """By how much features are enlarged."""
        return float(self.scale) if self.size is None else 1.0

    def stride(self, image: Array) -> int:
        """Return the numbers in a row of the table of sums for an image (H, W)."""
        return 1 + int(image.shape[1] if self.size is None else self.size[0])

    def places(self, stride: int) -> Array:
        """Return all windows int64 (rows, columns), indices of their first corners in a flat table of sums."""
        y, x = (np.arange(count, dtype=np.int64) * self.step for count in (self.rows, self.columns))
        return y[:, None] * stride + x

    def boxes(self, places: Array, stride: int) -> Array:
        """Return the boxes float64 (n, 4) x1 y1 x2 y2 of windows in the image."""
        corner = np.stack([places % stride, places // stride], axis=1)
        if self.size is not None:
            corner = np.rint(corner.astype(np.float32) * self.scale)
        boxes: Array = np.concatenate([corner, corner + np.array([self.wide, self.high])], axis=1).astype(np.float64)
        return boxes


@dataclass(frozen=True, slots=True)
class Search:
    """How windows of `width` x `height` pixels are moved and enlarged: `way` `features` or `image`."""

    width: int
    height: int
    way: str
    factor: float
    step: float

    @classmethod
    def of(cls, width: int, height: int, params: Mapping[str, Any]) -> Search:
        """Read a model's settings; OpenCV itself searches as `image` says."""
        way = "features" if params["search"] == "features" else "image"
        return cls(width, height, way, params["factor"], params["step"])

    def levels(self, height: int, width: int) -> list[Level]:
        """Return the levels for an image, none for one that is smaller than the window."""
        levels: list[Level] = []
        factor = 1.0
        while True:
            wide, high = round(self.width * factor), round(self.height * factor)
            if wide > width or high > height:
                return levels
            levels.append(self._level(height, width, np.float32(factor), (wide, high)))
            factor *= self.factor

    def _level(self, height: int, width: int, scale: np.float32, window: tuple[int, int]) -> Level:
        if self.way == "features":
            step = max(1, round(self.step * float(scale)))
            columns, rows = ((side - own) // step + 1 for side, own in zip((width, height), window, strict=True))
            return Level(scale, *window, step, columns, rows)
        window = int(np.rint(self.width * scale)), int(np.rint(self.height * scale))
        step = 1 if scale >= 2 else 2
        size = int(np.rint(np.float32(width) / scale)), int(np.rint(np.float32(height) / scale))
        across, down = (max(0, side + 1 - own) for side, own in zip(size, (self.width, self.height), strict=True))
        # OpenCV's threads share the rows in stripes, which leave out the last row of some heights
        stripes = -(-(width + 1 - self.width) // 32)
        covered = max((down // step + stripes - 1) // stripes, 1) * step * stripes
        columns, rows = -(-across // step), -(-min(down, covered) // step)
        return Level(scale, *window, step, columns, rows, size)

    def tables(self, image: Array) -> Iterator[tuple[Level, Tables]]:
        """Yield the levels of an image uint8 (H, W) and the sums that their windows are looked up in."""
        shared = None
        for level in self.levels(*image.shape):
            if level.size is not None:
                yield level, Tables.of(shrink(image, level.size))
            else:
                shared = shared or Tables.of(image)
                yield level, shared


@dataclass(frozen=True, slots=True)
class Found:
    """Accepted windows of an image: `boxes` float64 (n, 4) x1 y1 x2 y2, `margins` float64 (n,), and what they cost."""

    boxes: Array
    margins: Array
    looked_at: int = 0
    evaluated: int = 0


def find(image: Array, cascade: Cascade, search: Search) -> Found:
    """Return the windows of an image uint8 (H, W) that a cascade accepts."""
    boxes, margins = [np.zeros((0, 4))], [np.zeros(0)]
    looked_at = evaluated = 0
    for level, tables in search.tables(image):
        scaled = ScaledCascade(cascade, level.enlarged)
        places = level.places(tables.stride)
        passed = scaled.passing(tables, places.ravel()) if level.size is None else _as_opencv(scaled, tables, places)
        boxes.append(level.boxes(passed.places, tables.stride))
        margins.append(passed.margins)
        looked_at, evaluated = looked_at + passed.looked_at, evaluated + passed.evaluated
    inside = np.minimum(
        np.concatenate(boxes), [*image.shape[::-1]] * 2
    )  # by rounding a window may reach over the border
    return in_order(Found(inside, np.concatenate(margins), looked_at, evaluated))


def in_order(found: Found) -> Found:
    """Return windows in an order that does not depend on who found them: by size, from above to below, to the right."""
    x0, y0, x1, y1 = found.boxes.T
    order = np.lexsort((x0, y0, y1 - y0, x1 - x0))
    return Found(found.boxes[order], found.margins[order], found.looked_at, found.evaluated)


def _as_opencv(scaled: ScaledCascade, tables: Tables, places: Array) -> Passed:
    """Run the stages on windows (rows, columns), leaving out the one to the right of what the first stage refuses."""
    cascade = scaled.cascade
    factors = scaled.factors(tables, places.ravel())
    refused = has_contrast(factors, cascade)
    lively = np.flatnonzero(refused)
    sums = scaled.stage_sums(tables, places.ravel()[lively], factors[lively], 0)
    refused[lively] = sums < cascade.lowest(0)
    refused = refused.reshape(places.shape)
    visited = np.ones(places.shape, dtype=bool)
    for column in range(1, places.shape[1]):
        visited[:, column] = ~(visited[:, column - 1] & refused[:, column - 1])
    return scaled.passing(tables, places[visited])


def shrink(image: Array, size: tuple[int, int]) -> Array:
    """Return an image uint8 resized to (width, height) as OpenCV's cascades do it."""
    import cv2

    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR_EXACT)


def grey(image: Array) -> Array:
    """Return an image uint8 (H, W) or (H, W, 3) as grey (H, W), contiguous."""
    import cv2

    image = np.ascontiguousarray(image)
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
