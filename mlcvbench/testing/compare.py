"""Compares predictions column by column, whatever the task kind."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlcvbench.contract import Array, Predictions


def same_bytes(one: Predictions, other: Predictions) -> bool:
    """Say whether two predictions are equal to the last bit."""
    return one.keys() == other.keys() and all(
        len(one[name]) == len(other[name])
        and all(_equal(np.asarray(a), np.asarray(b)) for a, b in zip(one[name], other[name], strict=True))
        for name in one
    )


def _equal(a: Array, b: Array) -> bool:
    """Say whether two values are equal; what is not a number equals itself, for it did not change."""
    return np.array_equal(a, b, equal_nan=a.dtype.kind in "fc" and b.dtype.kind in "fc")


def largest_difference(one: Predictions, other: Predictions) -> float:
    """Return the largest |a - b| / max(1, |a|) over the float columns; inf when shapes or other columns differ.

    >>> largest_difference({"scores": np.array([[1.0]])}, {"scores": np.array([[1.5]])})
    0.5
    """
    if one.keys() != other.keys():
        return float("inf")
    worst = 0.0
    for name in one:
        for a, b in zip(one[name], other[name], strict=True):
            worst = max(worst, _difference(np.asarray(a), np.asarray(b)))
    return worst


def differing_decision(kind: str, one: Predictions, other: Predictions, tolerance: float) -> int | None:
    """Return the index of the first sample whose decision differs by more than a tie, or None.

    A decision is the class of the highest score or probability; task kinds without either decide by the values.
    """
    name = next((name for name in ("scores", "probabilities") if name in one), None)
    if kind != "classification" or name is None:
        return None
    first, second = np.asarray(one[name]), np.asarray(other[name])  # (B, C)
    chosen, again = first.argmax(axis=1), second.argmax(axis=1)
    rows = np.arange(len(first))
    lead = np.abs(first[rows, chosen] - first[rows, again])  # 0 where both choose alike
    differing = np.flatnonzero((chosen != again) & (lead > 2 * tolerance * np.maximum(1, np.abs(first).max(axis=1))))
    return int(differing[0]) if len(differing) else None


def _difference(a: Array, b: Array) -> float:
    if a.shape != b.shape:
        return float("inf")
    if a.dtype.kind != "f":
        return 0.0 if np.array_equal(a, b) else float("inf")
    if a.size == 0:
        return 0.0
    gap: Any = np.abs(a.astype(np.float64) - b.astype(np.float64)) / np.maximum(1.0, np.abs(a.astype(np.float64)))
    return float(gap.max())
