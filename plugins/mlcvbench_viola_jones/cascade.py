"""The attentional cascade: stages of boosted stumps, each of which may say "no object here".

Viola and Jones 2001, section 4. What the first stages refuse, which is nearly everything, costs a few features; what
all stages accept is an object. Numbers are float32 and sums float64, as in OpenCV, so that both decide alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mlcvbench.contract import Array
from mlcvbench_viola_jones.features import Features, integral, look_ups, spread, window_integrals

SLACK = np.float32(1e-5)
"""A stage accepts sums down to this much below its threshold, as OpenCV does."""
LEAST_DEVIATION = 10.0
"""Windows whose pixels have no larger standard deviation, in grey levels, are never looked at, as in OpenCV."""
_AT_ONCE = 1 << 18
"""Look-ups of a stage that are made together."""


@dataclass(frozen=True)
class Cascade:
    """Stages of stumps for a window of `width` x `height` pixels.

    - `features`: one a stump, in the order of use.
    - `thresholds`, `left`, `right`: float32 (K,): a stump votes `left` where its feature is below its threshold.
    - `ends`: int64 (S,), stumps up to the end of each stage.
    - `limits`: float32 (S,), the sum of votes that a stage asks for.
    """

    width: int
    height: int
    features: Features
    thresholds: Array
    left: Array
    right: Array
    ends: Array
    limits: Array

    @property
    def stages(self) -> int:
        """Number of stages."""
        return len(self.ends)

    def stage(self, number: int) -> slice:
        """Return which stumps a stage has."""
        return slice(int(self.ends[number - 1]) if number else 0, int(self.ends[number]))

    def lowest(self, number: int) -> np.float32:
        """Return the least sum that a stage accepts."""
        return np.float32(self.limits[number] - SLACK)

    def with_stage(self, features: Features, votes: Array, limit: float) -> Cascade:
        """Return the cascade with one more stage; `votes` float32 (k, 3): threshold, left and right of each stump."""
        both = Features(
            np.concatenate([self.features.boxes, features.boxes]),
            np.concatenate([self.features.weights, features.weights]),
        )
        thresholds, left, right = np.concatenate([[self.thresholds, self.left, self.right], votes.T], axis=1)
        ends, limits = np.append(self.ends, len(both)), np.append(self.limits, np.float32(limit))
        return Cascade(self.width, self.height, both, thresholds, left, right, ends.astype(np.int64), limits)

    def stage_sums(self, patches: Array, number: int) -> Array:
        """Return the sums of a stage's votes, float64 (N,), for patches uint8 (N, height, width)."""
        own = self.stage(number)
        integrals, factor = window_integrals(patches)
        values = look_ups(self.features.take(own), self.width, self.height) @ integrals * factor  # (k, N)
        return total_votes(values.T, self, own)


def empty_cascade(width: int, height: int) -> Cascade:
    """Return a cascade without stages, which accepts every window."""
    none = np.zeros(0, dtype=np.float32)
    features = Features(np.zeros((0, 3, 4), dtype=np.int32), np.zeros((0, 3), dtype=np.float32))
    return Cascade(width, height, features, none, none, none, np.zeros(0, dtype=np.int64), none)


def total_votes(values: Array, cascade: Cascade, own: slice) -> Array:
    """Return the sums float64 (N,) of the votes of some stumps for their features' values float32 (N, k)."""
    votes = np.where(values < cascade.thresholds[own], cascade.left[own], cascade.right[own])
    # one after the other, as OpenCV adds them: another order has other bits
    sums: Array = np.cumsum(votes, axis=1, dtype=np.float64)
    return sums[:, -1] if votes.shape[1] else np.zeros(len(votes))


@dataclass(frozen=True)
class Tables:
    """The integral images int64 (H + 1, W + 1) of an image's pixels and of their squares."""

    sums: Array
    squares: Array

    @classmethod
    def of(cls, image: Array) -> Tables:
        """Sum an image uint8 (H, W)."""
        return cls(integral(image), integral(image.astype(np.int64) ** 2))

    @cached_property
    def stride(self) -> int:
        """Numbers of a row."""
        return int(self.sums.shape[1])


@dataclass(frozen=True)
class Passed:
    """Windows that all stages accept: `places` int64 (n,), indices into the flat integral image, and `margins`.

    `margins` float64 (n,): by how much the last stage's sum exceeds its limit. `looked_at`: windows, `evaluated`:
    features of them.
    """

    places: Array
    margins: Array
    looked_at: int
    evaluated: int


@dataclass(frozen=True)
class ScaledCascade:
    """A cascade with the rectangles of its features enlarged, section 3.1 and 5.4 of the paper.

    Corners are rounded to pixels, so that rectangles that touch still touch. A rectangle's sum is divided by the area
    that it has and multiplied by the area that it had, so that thresholds serve at every scale.
    """

    cascade: Cascade
    scale: float
    _corners: Array = field(init=False, repr=False)
    _weights: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        boxes = self.cascade.features.boxes.astype(np.float64)
        low, high = boxes[..., :2], boxes[..., :2] + boxes[..., 2:]
        corners = np.floor(np.concatenate([low, high], axis=2) * self.scale + 0.5).astype(np.int64)  # x0 y0 x1 y1
        nominal, scaled = boxes[..., 2:].prod(axis=2), (corners[..., 2:] - corners[..., :2]).prod(axis=2)
        weights = self.cascade.features.weights * (nominal / np.maximum(scaled, 1))
        object.__setattr__(self, "_corners", corners)
        object.__setattr__(self, "_weights", weights.astype(np.float32))

    def factors(self, tables: Tables, places: Array) -> Array:
        """Return the factors float32 of `spread` for windows (n,)."""
        width, height = self.cascade.width, self.cascade.height
        x0, y0, x1, y1 = (int(np.floor(c * self.scale + 0.5)) for c in (1, 1, width - 1, height - 1))
        ends = [y * tables.stride + x for y, x in ((y0, x0), (y0, x1), (y1, x0), (y1, x1))]

        def inner(table: Array) -> Array:
            flat = table.ravel()
            a, b, c, d = (flat[places + end] for end in ends)
            chosen: Array = a - b - c + d
            return chosen

        return spread(inner(tables.sums), inner(tables.squares), (x1 - x0) * (y1 - y0), (width - 2) * (height - 2))

    def stage_sums(self, tables: Tables, places: Array, factors: Array, number: int) -> Array:
        """Return the sums float64 (n,) of a stage's votes for windows (n,)."""
        own = self.cascade.stage(number)
        x0, y0, x1, y1 = np.moveaxis(self._corners[own], 2, 0)  # (k, 3) each
        top, bottom = y0 * tables.stride, y1 * tables.stride
        ends = np.stack([top + x0, top + x1, bottom + x0, bottom + x1])
        flat, weights = tables.sums.ravel(), self._weights[own]
        sums = np.empty(len(places))
        rows = max(1, _AT_ONCE // ends.size)
        for first in range(0, len(places), rows):
            some = slice(first, first + rows)
            a, b, c, d = flat[places[some, None, None] + ends[:, None]]  # (n, k, 3) each
            parts = (a - b - c + d).astype(np.float32) * weights
            values = (parts[..., 0] + parts[..., 1] + parts[..., 2]) * factors[some, None]
            sums[some] = total_votes(values, self.cascade, own)
        return sums

    def passing(self, tables: Tables, places: Array, first: int = 0) -> Passed:
        """Return the windows that the stages from `first` on accept, of windows with enough contrast."""
        factors = self.factors(tables, places)
        lively = has_contrast(factors, self.cascade)
        looked_at, evaluated = len(places), 0
        places, factors = places[lively], factors[lively]
        margins = np.zeros(len(places))
        for number in range(first, self.cascade.stages):
            own = self.cascade.stage(number)
            evaluated += len(places) * (own.stop - own.start)
            sums = self.stage_sums(tables, places, factors, number)
            kept = sums >= self.cascade.lowest(number)
            places, factors, margins = places[kept], factors[kept], (sums - self.cascade.limits[number])[kept]
        return Passed(places, margins, looked_at, evaluated)


def has_contrast(factors: Array, cascade: Cascade) -> Array:
    """Return which windows have a standard deviation above `LEAST_DEVIATION`, bool (n,), by the factors of `spread`."""
    nominal = (cascade.width - 2) * (cascade.height - 2)
    lively: Array = (factors > 0) & (nominal * factors.astype(np.float64) < 1 / LEAST_DEVIATION)
    return lively
