"""Bring an estimate to the truth's scale, image by image, before it is scored, as far as a monocular id allows.

- `metric`: nothing.
- `median-scale`: times median(truth) / median(estimate), as Zhou et al. 2017 and monodepth2 do.
- `scale-shift`: the scale and shift that minimise the squared difference to the depth; for relative depth (Marigold).
- `scale-shift-inverse`: the scale and shift that minimise the squared difference to 1 / depth; for relative inverse
  depth (MiDaS, Depth Anything). What comes out below 1 / cap is set to it, then its inverse is the depth.

All over the scored pixels alone. Sources: Ranftl et al., "Towards robust monocular depth estimation", TPAMI 2022, and
the evaluation code of its authors; Ke et al., "Repurposing diffusion-based image generators for depth", CVPR 2024.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.errors import PredictionError
from mlcvbench_depth.protocols import FITTED, FITTED_INVERSE, MEDIAN


class Alignment(NamedTuple):
    """What is done to every estimate of an image: times `scale`, plus `shift`, and perhaps the inverse of that."""

    scale: float = 1.0
    shift: float = 0.0
    farthest: float | None = None
    """Metres at which the inverse ends; None when the estimates are depths."""
    fitted: bool = False

    def apply(self, estimate: Array) -> Array:
        """Return float32 metres of the same shape, not yet clipped; a fit is computed in float64."""
        if not self.fitted:
            plain: Array = estimate if self.scale == 1 else estimate * np.float32(self.scale)
            return plain
        wide = estimate.astype(np.float64) * self.scale + self.shift
        if self.farthest is not None:
            np.maximum(wide, 1 / self.farthest, out=wide)
            np.divide(1, wide, out=wide)
        return wide.astype(np.float32)


def align(wanted: Array, got: Array, scaling: str, cap: float) -> Alignment:
    """Return how the estimates of an image are brought to its truth.

    PredictionError where that is undefined: a median of 0 or inf, an estimate of inf in a fit.

    Args:
        wanted: float32 (P,) metres, the truth of the scored pixels, one at least.
        got: float32 (P,), their estimates.
        scaling: one of `SCALINGS`.
        cap: metres, the farthest depth that is scored.

    >>> truth = np.float32([2, 4, 8])
    >>> align(truth, 3 / truth + 1, "scale-shift-inverse", 80.0).apply(np.float32([1.75])).tolist()
    [4.0]

    """
    if scaling == MEDIAN:
        return Alignment(_median_factor(wanted, got))
    if scaling not in (FITTED, FITTED_INVERSE):
        return Alignment()
    endless = int(np.count_nonzero(np.isinf(got)))
    if endless:
        raise PredictionError(
            f"field 'depth': {endless} scored estimates are inf; scale and shift are fitted to finite numbers only."
        )
    inverse = scaling == FITTED_INVERSE
    target = 1 / wanted.astype(np.float64) if inverse else wanted.astype(np.float64)
    scale, shift = _least_squares(got.astype(np.float64), target)
    return Alignment(scale, shift, cap if inverse else None, fitted=True)


def _least_squares(got: Array, target: Array) -> tuple[float, float]:
    """Return scale and shift of the line through (got, target); a constant estimate gives the mean of the target."""
    mean, middle = float(got.mean()), float(target.mean())
    apart = got - mean
    spread = float(apart @ apart)
    scale = float(apart @ (target - middle)) / spread if spread > 0 else 0.0
    return scale, middle - scale * mean


def _median_factor(wanted: Array, got: Array) -> float:
    middle = np.median(got)
    if not 0 < middle < np.inf:
        raise PredictionError(
            f"field 'depth': the median estimate is {middle:g}, so it cannot be scaled to the truth's."
        )
    return float(np.float32(np.median(wanted) / middle))
