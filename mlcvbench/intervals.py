"""95 % intervals from a value and its bootstrap replicates. `docs/intervals.md` says why this form, and how it covers.

The replicates give the standard error; the interval lies around the value itself:

1. Scale. A fraction moves on the logit scale, another number that cannot be negative on the log scale, the rest as
   they are: with p the value and s the half width, the ends are expit(logit p -+ s / (p (1 - p))) or p exp(-+ s / p).
   So ends stay where values can be, and a score near its bound gets the lopsided interval that counting errors calls
   for.
2. Half width. s = t * standard error, t Student's 97.5 % quantile with groups - 1 degrees of freedom; the variance of
   the replicates is taken G / (G - 1) times, which resampling G groups is short of.
3. Bias. The mean of the replicates less the value estimates how far the value lies from what an endless test set
   would give. The end on that side is worked out from the value less this bias. So the interval covers the mean score
   of test sets of this size and the limit of large ones, which differ for average precision and calibration error.
4. At its bound a value that no resample moves says that no group of G went wrong: the other end is then where that has
   a chance of 2.5 %, 1 - 0.025^(1 / G) away ("rule of three").

Percentiles of the replicates, the usual choice, are off by that bias twice.

Sources: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 12 to 14 (bootstrap standard errors on a
transformed scale; why bias makes percentiles miss); Boyd, Eng and Page, "Area under the precision-recall curve: point
estimates and confidence intervals", ECML 2013 (the logit interval for average precision); Satterthwaite, "An
approximate distribution of estimates of variance components", 1946 (degrees of freedom of a sum of variances).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from mlcvbench.contract.batch import Array

METHOD = "bootstrap t on the logit or log scale, widened by bias"
"""What records say; a board shows no interval that was made in another way."""
LEVEL = 0.95
MOST_UNDEFINED = 0.05
"""An interval is withheld when more than this share of the replicates is undefined."""
_FARTHEST = (math.exp(2) - 1) / 2
"""No end is farther from the value than this times s: where a log or logit interval with s / slope = 2 ends, which is
what a single error in many trials gives. Beyond, close to a bound, the scale is too curved to say anything."""
_LARGEST_POWER = 700.0
_ROUNDING = 1e-12


class Interval(NamedTuple):
    """The two ends; both null when there is nothing to tell them from."""

    low: float | None
    high: float | None


NONE = Interval(None, None)


class Spread(NamedTuple):
    """Of a value's replicates: the half width s, and the estimated bias of the value."""

    half: float
    bias: float


def interval(
    value: float | None,
    replicates: Array,
    groups: int,
    *,
    fraction: bool = True,
    seeds: Sequence[float] = (),
    level: float = LEVEL,
) -> Interval:
    """Return the interval of a metric.

    Args:
        value: the metric on all groups; for several training seeds the mean over them.
        replicates: float64 (n,), NaN where a resample leaves the metric undefined.
        groups: how many groups were resampled.
        fraction: whether the metric is a share; if it or a replicate is outside [0, 1], it is taken for none.
        seeds: the value of each training seed, when there are several (`stats.hierarchical` made the replicates).
        level: the share of test sets whose interval is to cover.

    >>> draws = np.random.default_rng(0).binomial(200, 0.9, 1000) / 200
    >>> [round(end, 3) for end in interval(0.9, draws, groups=200)]
    [0.85, 0.936]
    >>> [round(end, 4) for end in interval(1.0, np.ones(1000), groups=100)]
    [0.9638, 1.0]

    """
    defined = _defined(replicates)
    if value is None or not math.isfinite(value) or defined is None or groups < 2:
        return NONE
    spread = _spread(value, defined, groups, seeds, level)
    least, most = float(defined.min()), float(defined.max())
    if fraction and min(value, least) >= -_ROUNDING and max(value, most) <= 1 + _ROUNDING:
        return _of_fraction(min(max(value, 0.0), 1.0), spread, groups, level)
    if min(value, least) >= 0:
        return _of_magnitude(value, spread)
    return Interval(value - max(spread.bias, 0.0) - spread.half, value - min(spread.bias, 0.0) + spread.half)


def difference(
    value: float | None, first: Array, second: Array, groups: int | None, *, level: float = LEVEL
) -> Interval:
    """Return the interval of second - first, of value `value`, from replicates (n,) drawn with the same resamples.

    Differences have no bound to keep to, so they are taken as they are. `groups` None: many. ValueError for replicates
    of unlike length, which cannot be paired.
    """
    if first.shape != second.shape:
        raise ValueError(f"paired replicates: wanted equal lengths, got {len(first)} and {len(second)}.")
    defined = _defined(second - first)
    if value is None or not math.isfinite(value) or defined is None or (groups is not None and groups < 2):
        return NONE
    spread = _spread(value, defined, groups, (), level)
    return Interval(value - max(spread.bias, 0.0) - spread.half, value - min(spread.bias, 0.0) + spread.half)


def _defined(replicates: Array) -> Array | None:
    """Return the finite replicates, None when too many are not."""
    finite = np.isfinite(replicates)
    count = int(np.count_nonzero(finite))
    if count < 2 or count < (1 - MOST_UNDEFINED) * len(replicates):
        return None
    return replicates if count == len(replicates) else replicates[finite]


def _spread(value: float, replicates: Array, groups: int | None, seeds: Sequence[float], level: float) -> Spread:
    """Return half width and bias; with several seeds the variance has two parts, each with its degrees of freedom."""
    total, mean = float(replicates.var(ddof=1)), float(replicates.mean())
    between = min(total, float(np.var(seeds, ddof=1)) / len(seeds)) if len(seeds) > 1 else 0.0
    within = (total - between) * (groups / (groups - 1) if groups else 1.0)
    variance = within + between
    if math.sqrt(variance) <= _ROUNDING * max(1.0, abs(value)):
        return Spread(0.0, 0.0)
    unsure = (within**2 / (groups - 1) if groups else 0.0) + (between**2 / (len(seeds) - 1) if between else 0.0)
    freedom = variance**2 / unsure if unsure > 0 else math.inf
    return Spread(t_quantile((1 + level) / 2, freedom) * math.sqrt(variance), mean - value)


def _of_fraction(value: float, spread: Spread, groups: int, level: float) -> Interval:
    room = min(value, 1 - value) / 2
    bias = min(max(spread.bias, -room), room)
    low = 1 - _upper_end(1 - value + max(bias, 0.0), spread.half, bounded=True)
    high = _upper_end(value - min(bias, 0.0), spread.half, bounded=True)
    unseen = 1 - ((1 - level) / 2) ** (1 / groups)
    if value <= _ROUNDING:
        high = max(high, unseen)
    if value >= 1 - _ROUNDING:
        low = min(low, 1 - unseen)
    return Interval(min(low, value), max(high, value))  # what rounding did is undone


def _of_magnitude(value: float, spread: Spread) -> Interval:
    bias = min(max(spread.bias, -value / 2), value / 2)
    start = value - max(bias, 0.0)
    low = start * math.exp(-min(spread.half / start, _LARGEST_POWER)) if start > 0 else 0.0
    return Interval(min(low, value), max(_upper_end(value - min(bias, 0.0), spread.half, bounded=False), value))


def _upper_end(value: float, half: float, *, bounded: bool) -> float:
    """Return the upper end around `value` on the logit scale (`bounded`) or the log scale."""
    if half == 0:
        return value
    farthest = value + _FARTHEST * half
    slope = value * (1 - value) if bounded else value
    if slope <= 0:
        return min(farthest, 1.0) if bounded else farthest
    growth = math.exp(min(half / slope, _LARGEST_POWER))
    moved = value * growth / (1 - value + value * growth) if bounded else value * growth
    return min(moved, farthest)


@lru_cache(maxsize=256)
def t_quantile(share: float, freedom: float) -> float:
    """Return a quantile above the median of Student's t, within 1e-7; boards are built without scipy.

    With t = sqrt(f) tan(a) the distribution is the integral of cos(a)^(f - 1), which Newton's steps from the normal
    quantile approach from below.
    """
    normal = NormalDist().inv_cdf(share)
    if freedom > 1e8:
        return normal
    nodes, weights = np.polynomial.legendre.leggauss(40)
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    angle = math.atan(normal / math.sqrt(freedom))
    for _ in range(60):
        reached = angle / 2 * float(weights @ np.cos(angle / 2 * (nodes + 1)) ** (freedom - 1))
        step = ((share - 0.5) / scale - reached) / math.cos(angle) ** (freedom - 1)
        angle += step
        if abs(step) <= 1e-15 * angle:
            break
    return math.sqrt(freedom) * math.tan(angle)
