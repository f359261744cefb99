"""Averages of interpolated precision over recall, for many weightings at once.

Precision at a recall is the highest at that recall or beyond. Both change only at true positives, so a curve is given
by its values there: `precision` and `recall` (R, E), with recall non-decreasing along the rows.
"""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array


def interpolated_mean(precision: Array, recall: Array, recalls: Array) -> Array:
    """Return the mean of the interpolated precision over evenly spaced `recalls` from 0 to 1, float64 (R,).

    A recall counts as reached as in `searchsorted(recall, r, "left")`, including the rounding of `recalls`.

    >>> interpolated_mean(np.array([[1.0, 0.5]]), np.array([[0.5, 1.0]]), np.linspace(0, 1, 11)).tolist()
    [0.7727272727272727]
    """
    nearest = (recall * (len(recalls) - 1) + 0.5).astype(np.int64)
    steps = nearest + (recalls[nearest] <= recall)  # how many of the recalls are reached
    steps[:, 1:] -= steps[:, :-1].copy()
    summed: Array = np.einsum("re,re->r", steps, envelope(precision)) / len(recalls)
    return summed


def area_under_curve(precision: Array, recall: Array) -> Array:
    """Return the area under the interpolated curve from recall 0, float64 (R,).

    >>> area_under_curve(np.array([[1.0, 0.5]]), np.array([[0.5, 1.0]])).tolist()
    [0.75]
    """
    widths = np.diff(recall, axis=1, prepend=0.0)
    summed: Array = np.einsum("re,re->r", widths, envelope(precision))
    return summed


def envelope(precision: Array) -> Array:
    """Return the highest precision from each position on, along the last axis."""
    highest: Array = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    return highest
