"""Logits or probabilities: what class scores are, one rule for files, functions, networks and plugins.

`scores` are logits unless they are stated to be probabilities. Those of a file, or of a function that returns a bare
array, are read as probabilities when they look like it; those that a model calls `scores` then give a notice. They look
like probabilities when

- all values lie in [0, 1], up to an error of 1e-6, and
- each row sums to 1 up to 0.005 (half precision), or up to the error of rounding to the printed decimals: half a unit
  of the last of d decimals per class, C / 2 * 10**-d, when every value has at most d <= 5 decimals; at most 0.5.

Rows of probabilities that do not sum to 1 within 1e-6 are scaled to do so; others are kept bit for bit, since at round
numbers the last bit decides the bin of the calibration error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.errors import PredictionError
from mlcvbench_classification.rearranging import blocks_of

EDGE_SLACK = 1e-6
SUM_SLACK = 0.005
MOST_SUM_SLACK = 0.5
EXACT_SUM = 1e-6
MOST_DECIMALS = 5


class Likeness(NamedTuple):
    """How closely rows of scores resemble probabilities.

    `bounded`: all values lie in [0, 1]. `off`: how many of the `rows` have a sum further from 1 than 0.005. `fit`: how
    many sum to 1 within what is allowed. `low`, `high`: the least and the largest sum.
    """

    rows: int
    bounded: bool
    off: int = 0
    fit: int = 0
    low: float = 1.0
    high: float = 1.0

    @property
    def probable(self) -> bool:
        """Whether they are read as probabilities by default."""
        return self.bounded and self.fit == self.rows > 0

    @property
    def clear(self) -> bool:
        """Whether they are probabilities without any tolerance."""
        return self.probable and not self.off


def likeness(scores: Array) -> Likeness:
    """Return how closely finite scores (N, C) resemble probabilities; stops at the first value outside [0, 1].

    >>> likeness(np.array([[0.4, 0.6], [0.33, 0.67]])).clear
    True
    >>> likeness(np.array([[0.4, 0.6], [1.4, -3.0]])).bounded
    False
    """
    count = len(scores)
    if not scores.size or not all(_bounded(part).all() for part in _blocks(scores)):
        return Likeness(count, bounded=False)
    sums = _sums(scores)
    off = int(np.count_nonzero(np.abs(sums - 1) > SUM_SLACK))
    slack = sum_slack(scores) if off else SUM_SLACK
    fit = int(np.count_nonzero(np.abs(sums - 1) <= slack))
    return Likeness(count, True, off, fit, float(sums.min()), float(sums.max()))


def sum_slack(values: Array) -> float:
    """Return the tolerance for the row sums of such values.

    >>> round(sum_slack(np.array([[0.33, 0.33, 0.33]])), 5), sum_slack(np.array([[1 / 3, 1 / 3, 1 / 3]]))
    (0.015, 0.005)
    """
    decimals = 1
    for part in _blocks(values):
        while decimals <= MOST_DECIMALS and not _has_decimals(part, decimals):
            decimals += 1
    rounding = values.shape[1] / 2 * 10.0**-decimals + EDGE_SLACK if decimals <= MOST_DECIMALS else 0.0
    return min(max(SUM_SLACK, rounding), MOST_SUM_SLACK)


def checked_probabilities(values: Array, ids: Array) -> Array:
    """Return probabilities float32 (N, C) whose rows sum to 1; PredictionError names a sample whose values are not
    probabilities.
    """
    values = np.asarray(values, dtype=np.float32)
    outside = np.flatnonzero(~_bounded(values).all(axis=1))
    if len(outside):
        row = values[outside[0]]
        worst = row[np.argmax(np.abs(row - 0.5))]
        raise PredictionError(
            f"field 'probabilities', sample {str(ids[outside[0]])!r}: wanted values from 0 to 1, got {worst:g}."
        )
    sums = _sums(values)
    wrong = np.abs(sums - 1) > SUM_SLACK
    if wrong.any():
        wrong = np.abs(sums - 1) > sum_slack(values)
    wrong |= sums <= 0
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        raise PredictionError(
            f"field 'probabilities', sample {str(ids[place])!r}: wanted values that sum to 1, got a sum of "
            f"{sums[place]:.4g}."
        )
    scale = np.where(np.abs(sums - 1) > EXACT_SUM, sums, 1.0)
    return np.asarray(np.clip(values, 0, 1) / scale[:, None], dtype=np.float32)


def rows_to_scale(values: Array) -> int:
    """Return how many rows of probabilities do not sum to 1 within 1e-6."""
    return int(np.count_nonzero(np.abs(_sums(values) - 1) > EXACT_SUM))


def _has_decimals(values: Array, decimals: int) -> bool:
    shifted = values.astype(np.float64) * 10.0**decimals
    return bool((np.abs(shifted - np.rint(shifted)) <= 10.0**decimals * 2.0**-24 + 1e-9).all())


def _bounded(values: Array) -> Array:
    return (values >= -EDGE_SLACK) & (values <= 1 + EDGE_SLACK)


def _sums(values: Array) -> Array:
    return np.asarray(values.sum(axis=1, dtype=np.float64))


def _blocks(values: Array) -> Iterator[Array]:
    return (values[rows] for rows in blocks_of(values))
