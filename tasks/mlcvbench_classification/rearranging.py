"""Reorders rows and columns of class scores to those of a data set, without a second copy in memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mlcvbench.contract import Array

BLOCK = 1 << 20
"""Values processed at a time."""
_STRIP = 16
"""Columns moved at a time: 64 bytes of float32, one cache line."""


def blocks_of(values: Array) -> Iterator[slice]:
    """Yield the rows of values (N, C) in blocks."""
    rows = max(1, BLOCK // max(values.shape[1], 1))
    return (slice(start, start + rows) for start in range(0, len(values), rows))


def with_columns(values: Array, columns: Array) -> Array:
    """Return the distinct `columns` of values (N, C); the given array is overwritten."""
    if not _as_they_are(columns, values.shape[1]):
        for rows in blocks_of(values):
            values[rows] = values[rows][:, columns]
    return values


def with_rows(values: Array, rows: Array) -> Array:
    """Return the distinct `rows` of values (N, ...); the given array is overwritten when all are taken.

    >>> with_rows(np.array([[1, 2], [3, 4]]), np.array([1, 0])).tolist()
    [[3, 4], [1, 2]]
    """
    if _as_they_are(rows, len(rows)):
        return values[: len(rows)]
    if len(rows) < len(values) or values.ndim == 1:
        return values[rows]
    for start in range(0, values.shape[1], _STRIP):
        strip = values[:, start : start + _STRIP]
        strip[:] = strip[rows]
    return values


def _as_they_are(places: Array, count: int) -> bool:
    return len(places) == count and np.array_equal(places, np.arange(count))
