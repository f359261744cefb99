"""Rank uncertainty: simultaneous rank intervals and tie bands from replicates drawn with the same resamples.

Sources: Romano and Wolf, "Stepwise multiple testing as formalized data snooping", Econometrica 73, 2005 (step-down
max-|t|); Mogstad, Romano, Shaikh and Wilhelm, "Inference for ranks", Review of Economic Studies 91, 2024 (ranks from
simultaneous pairwise tests).
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlcvbench.stats.intervals import LEVEL, MOST_UNDEFINED

if TYPE_CHECKING:
    from mlcvbench.contract.batch import Array
    from mlcvbench.stats.bootstrap import Floats

MOST_STEPDOWN_ROWS = 500
"""With more rows the maximum over all pairs takes minutes; a Gaussian Bonferroni bound takes its place."""


class Ranks(NamedTuple):
    """`low`, `high` (R,): the ranks a row can have, 1 = best; `band` (R,): its tie band, 0 = shares first place.

    `method` says how the family of all pairs was tested.
    """

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    band: NDArray[np.int64]
    method: str


def rank_intervals(
    values: Array, samples: Array, higher_is_better: bool = True, level: float = LEVEL, groups: int | None = None
) -> Ranks:
    """Return simultaneous rank intervals and tie bands of R rows from point values (R,) and replicates (R, n).

    All pairs are tested together by step-down max-|t|: with probability `level` no two rows are separated the wrong
    way round. Rank low = 1 + rows surely better, rank high = R - rows surely worse. The first band holds the rows that
    no row surely beats; the next one those left unbeaten once the first is removed, and so on. A row with too many
    undefined replicates is separated from no other. `groups`: how many were resampled, None = many.
    """
    direction = 1.0 if higher_is_better else -1.0
    values, samples = direction * np.asarray(values, np.float64), direction * np.asarray(samples, np.float64)
    usable = np.isfinite(samples).mean(axis=1) >= 1 - MOST_UNDEFINED if samples.size else np.zeros(len(values), bool)
    columns = np.isfinite(samples[usable]).all(axis=0)
    centred = samples[:, columns] - values[:, None]
    better = np.zeros((len(values), len(values)), dtype=bool)
    method = "step-down max-|t|" if usable.sum() <= MOST_STEPDOWN_ROWS else "Bonferroni, normal"
    if usable.sum() >= 2 and columns.sum() >= 2:
        index = np.flatnonzero(usable)
        separated = _separated(values[index], centred[index], level, groups)
        better[np.ix_(index, index)] = separated & (values[index][:, None] > values[index][None, :])
    low = 1 + better.sum(axis=0)
    high = len(values) - better.sum(axis=1)
    return Ranks(low, high, _bands(better), method)


def _separated(values: Floats, centred: Floats, level: float, groups: int | None = None) -> NDArray[np.bool_]:
    """Return which pairs differ, bool (R, R), the family-wise error being at most 1 - level."""
    difference = np.abs(values[:, None] - values[None, :])
    error = _difference_errors(centred)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(difference == 0, 0.0, difference / error)  # a difference that no resample changes: infinite t
    t = _normal_equivalent(t, groups)
    if len(values) > MOST_STEPDOWN_ROWS:
        pairs = len(values) * (len(values) - 1) / 2
        return t > NormalDist().inv_cdf(1 - (1 - level) / 2 / pairs)
    scale = np.divide(1.0, error, out=np.zeros_like(error), where=error > 0).astype(np.float32)
    samples = np.ascontiguousarray(centred, dtype=np.float32)
    rejected = t > _bound_of_maxima(samples, scale, level)  # the first step rejects these anyway
    while not rejected.all():
        critical = _quantile_of_maxima(samples, np.where(rejected, 0, scale), level)
        found = (t > critical) & ~rejected
        if not found.any():
            break
        rejected |= found
    return rejected


def _normal_equivalent(t: Floats, groups: int | None) -> Floats:
    """Return the normal deviates with the tail probability of Student's t for G groups, so that few groups are not
    overrated.

    Resampling G groups shows (G - 1) / G of the variance. Source: Wallace, "Bounds on normal approximations to
    Student's and the chi-square distributions", Annals of Mathematical Statistics 30, 1959, within 0.02 here.
    """
    if groups is None or groups < 2:
        return t
    freedom = groups - 1
    equivalent: Floats = np.sqrt(freedom * np.log1p(t**2 / groups)) * (8 * freedom + 1) / (8 * freedom + 3)
    return equivalent


def _difference_errors(centred: Floats) -> Floats:
    """Return the standard deviation of the difference of each pair of rows (R, R) over the replicates (R, n)."""
    deviations = centred - centred.mean(axis=1, keepdims=True)
    covariance = deviations @ deviations.T / (centred.shape[1] - 1)
    variance = np.diag(covariance)
    total = variance[:, None] + variance[None, :]
    left: Floats = total - 2 * covariance
    left[left < 1e-12 * total] = 0.0  # equal rows differ by rounding only
    return np.asarray(np.sqrt(left), dtype=np.float64)


def _quantile_of_maxima(samples: NDArray[np.float32], scale: NDArray[np.float32], level: float) -> float:
    """Return the quantile, over replicates, of the largest scaled difference of a pair still active (scale > 0)."""
    largest = np.zeros(samples.shape[1], dtype=np.float32)
    space = np.empty_like(samples)  # one buffer for all rows: allocating one per row costs more than the arithmetic
    for row in range(len(samples) - 1):
        active = np.flatnonzero(scale[row, row + 1 :]) + row + 1
        if not len(active):
            continue
        every = len(active) == len(samples) - row - 1
        moved = space[: len(active)]
        np.subtract(samples[row + 1 :] if every else samples[active], samples[row], out=moved)
        np.multiply(moved, scale[row, active, None], out=moved)
        np.maximum(largest, np.abs(moved, out=moved).max(axis=0), out=largest)
    return _upper(largest, level)


def _bound_of_maxima(samples: NDArray[np.float32], scale: NDArray[np.float32], level: float) -> float:
    """Return a number that `_quantile_of_maxima` over all pairs cannot exceed, at the cost of one pass over the rows.

    A pair that exceeds it is rejected by the first step whatever that step's critical value is, and a step-down that
    rejects fewer pairs at first ends at the same set.
    """
    return _upper(samples.max(axis=0) - samples.min(axis=0), level) * float(scale.max(initial=0)) * (1 + 1e-5)


def _upper(values: NDArray[np.float32], level: float) -> float:
    place = min(len(values) - 1, int(np.ceil(level * (len(values) + 1))) - 1)
    return float(np.partition(values, place)[place])


def _bands(better: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the band of each row (R,): peel off, again and again, the rows that no remaining row beats."""
    band = np.full(len(better), -1, dtype=np.int64)
    beaten_by = better.sum(axis=0)  # (R,)
    left = np.ones(len(better), dtype=bool)
    number = 0
    while left.any():
        peel = left & (beaten_by == 0)
        band[peel] = number
        beaten_by = beaten_by - better[peel].sum(axis=0)
        left &= ~peel
        number += 1
    return band
