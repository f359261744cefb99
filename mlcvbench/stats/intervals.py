"""95 % intervals from a value and its bootstrap replicates; `docs/intervals.md` gives the reasons and the coverage.

The replicates give the standard error; the interval lies around the value itself:

1. Scale. A fraction moves on the logit scale, another number that cannot be negative on the log scale, the rest as
   they are: with p the value and s the half width, the ends are expit(logit p -+ s / (p (1 - p))) or p exp(-+ s / p).
   So the ends stay in the range of the metric, and a score near its bound gets the asymmetric interval that counting
   errors requires.
2. Half width. s = t * standard error, t Student's 97.5 % quantile with groups - 1 degrees of freedom; the variance of
   the replicates is multiplied by G / (G - 1), since resampling G groups underestimates it.
3. Bias. The mean of the replicates minus the value estimates how far the value lies from that of an infinite test set.
   The end on that side is computed from the value minus this bias. So the interval covers both the mean score of test
   sets of this size and the limit of large ones, which differ for average precision and calibration error.
4. A value at its bound that no resample changes means no error in any of G groups: the other end is then where that has
   a probability of 2.5 %, 1 - 0.025^(1 / G) away ("rule of three").

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
"""The method as stated in records; a board shows no interval made by another method."""
LEVEL = 0.95
MOST_UNDEFINED = 0.05
"""An interval is withheld when more than this share of the replicates is undefined."""
_FARTHEST = (math.exp(2) - 1) / 2
"""No end is farther from the value than this times s: where a log or logit interval with s / slope = 2 ends, which is
what a single error in many trials gives. Beyond, close to a bound, the scale is too curved to be informative."""
_LARGEST_POWER = 700.0
_ROUNDING = 1e-12
_MANY = 1e8
"""Degrees of freedom from which Student's t is taken for the normal distribution."""


class Interval(NamedTuple):
    """The two ends; both None when there is no information about them."""

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
        fraction: whether the metric is a fraction; it is treated as unbounded if it or a replicate is outside [0, 1].
        seeds: the value of each training seed, when there are several (`stats.hierarchical` made the replicates).
        level: the confidence level.

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

    Differences have no bounds, so they are not transformed. `groups` None: many. ValueError for replicates of unequal
    length, which cannot be paired.
    """
    if first.shape != second.shape:
        raise ValueError(f"paired replicates: wanted equal lengths, got {len(first)} and {len(second)}.")
    defined = _defined(second - first)
    if value is None or not math.isfinite(value) or defined is None or (groups is not None and groups < 2):
        return NONE
    spread = _spread(value, defined, groups, (), level)
    return Interval(value - max(spread.bias, 0.0) - spread.half, value - min(spread.bias, 0.0) + spread.half)


def p_value(value: float | None, first: Array, second: Array, groups: int | None) -> float | None:
    """Return the two-sided p-value of no difference from the replicates of `difference`, None where it gives no
    interval.

    One minus the level at which the interval of `difference` just reaches zero: below 0.05 where the 95 % interval does
    not.

    >>> rng = np.random.default_rng(0)
    >>> first, second = rng.normal(0.90, 0.01, 1000), rng.normal(0.93, 0.01, 1000)
    >>> round(p_value(0.03, first, second, groups=None), 2)
    0.03
    """
    defined = _defined(second - first)
    if value is None or not math.isfinite(value) or defined is None or (groups is not None and groups < 2):
        return None
    deviation, freedom, bias = _deviation(value, defined, groups, ())
    surely = value - max(bias, 0.0) if value > 0 else min(bias, 0.0) - value
    if deviation == 0:
        return 1.0 if surely <= 0 else 0.0
    return 2 * (1 - t_share(surely / deviation, freedom)) if surely > 0 else 1.0


def _defined(replicates: Array) -> Array | None:
    """Return the finite replicates, None when too many are not."""
    finite = np.isfinite(replicates)
    count = int(np.count_nonzero(finite))
    if count < 2 or count < (1 - MOST_UNDEFINED) * len(replicates):
        return None
    return replicates if count == len(replicates) else replicates[finite]


def _spread(value: float, replicates: Array, groups: int | None, seeds: Sequence[float], level: float) -> Spread:
    """Return half width and bias."""
    deviation, freedom, bias = _deviation(value, replicates, groups, seeds)
    return Spread(t_quantile((1 + level) / 2, freedom) * deviation, bias) if deviation else Spread(0.0, 0.0)


def _deviation(
    value: float, replicates: Array, groups: int | None, seeds: Sequence[float]
) -> tuple[float, float, float]:
    """Return standard error, degrees of freedom and bias; 0, inf and 0 where no resample differs from the value.

    With several seeds the variance has two parts, each with its degrees of freedom.
    """
    total, mean = float(replicates.var(ddof=1)), float(replicates.mean())
    between = min(total, float(np.var(seeds, ddof=1)) / len(seeds)) if len(seeds) > 1 else 0.0
    within = (total - between) * (groups / (groups - 1) if groups else 1.0)
    variance = within + between
    if math.sqrt(variance) <= _ROUNDING * max(1.0, abs(value)):
        return 0.0, math.inf, 0.0
    unsure = (within**2 / (groups - 1) if groups else 0.0) + (between**2 / (len(seeds) - 1) if between else 0.0)
    return math.sqrt(variance), variance**2 / unsure if unsure > 0 else math.inf, mean - value


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
    return Interval(min(low, value), max(high, value))  # rounding must not move an end past the value


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
    """Return a quantile above the median of Student's t, within 1e-7.

    Newton steps from the normal quantile approach it from below. Not `scipy.special.stdtrit`: its last digits differ,
    while stored intervals must be recomputed bit for bit, and its import takes longer than building most boards.
    """
    normal = NormalDist().inv_cdf(share)
    if freedom > _MANY:
        return normal
    angle = math.atan(normal / math.sqrt(freedom))
    for _ in range(60):
        step = (share - _angle_share(angle, freedom)) / (_t_scale(freedom) * math.cos(angle) ** (freedom - 1))
        angle += step
        if abs(step) <= 1e-15 * angle:
            break
    return math.sqrt(freedom) * math.tan(angle)


def t_share(t: float, freedom: float) -> float:
    """Return the distribution function of Student's t at `t`, at least 0, within 1e-7.

    >>> round(t_share(t_quantile(0.975, 9), 9), 6), t_share(0.0, 9)
    (0.975, 0.5)
    """
    if freedom > _MANY:
        return NormalDist().cdf(t)
    return min(1.0, _angle_share(math.atan(t / math.sqrt(freedom)), freedom))


def _angle_share(angle: float, freedom: float) -> float:
    """Return the distribution function at t = sqrt(f) tan(angle): there it is the integral of cos(a)^(f - 1)."""
    nodes, weights = _nodes()
    reached = angle / 2 * float(weights @ np.cos(angle / 2 * (nodes + 1)) ** (freedom - 1))
    return 0.5 + _t_scale(freedom) * reached


@lru_cache(maxsize=1)
def _nodes() -> tuple[Array, Array]:
    return np.polynomial.legendre.leggauss(40)


@lru_cache(maxsize=256)
def _t_scale(freedom: float) -> float:
    return math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
