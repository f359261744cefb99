"""What every distance shares: the index it is searched with, the choice of the k nearest with ties broken, memory."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from mlcvbench.contract import Array

BLOCK_BYTES = 128 * 2**20
"""Memory of what is computed at once on the host."""


class Index(Protocol):
    """Training images prepared for exact search of the k nearest."""

    def prepare(self, pixels: Array) -> Any:
        """Return what `search` needs for queries, uint8 (B, D), on the device of the search."""

    def search(self, queries: Any) -> Any:
        """Return the k nearest training indices, int64 (B, k), nearest first: an array, or a tensor on the device."""


def rows_within(budget: int, row_bytes: int, most: int) -> int:
    """Return how many rows of `row_bytes` to take at once: as many as `budget` bytes hold, from 1 to `most`.

    >>> rows_within(2**20, row_bytes=1000, most=4096), rows_within(2**20, row_bytes=2**30, most=4096)
    (1048, 1)
    """
    return max(1, min(most, budget // row_bytes))


def first_k(rows: Array, columns: Array, distances: Array, count: int, k: int) -> Array:
    """Return the k nearest of each row as training indices (count, k), nearest first.

    `rows`, `columns`, `distances` (T,) list candidate pairs; every row has at least k of them. Among equal distances
    the lower training index is nearer, so the result does not depend on block sizes or threads.

    >>> first_k(np.array([0, 0, 0]), np.array([7, 2, 5]), np.array([4, 4, 1]), count=1, k=2)
    array([[5, 2]])
    """
    order = np.lexsort((columns, distances, rows))
    starts = np.searchsorted(rows[order], np.arange(count))  # (count,)
    return np.asarray(columns[order[starts[:, None] + np.arange(k)]])


def nearest_in(distances: Array, k: int) -> Array:
    """Return the k nearest of each row of exact `distances` (B, N) as training indices (B, k), nearest first.

    >>> nearest_in(np.array([[3.0, 1.0, 1.0, 0.0]]), k=2)
    array([[3, 1]])
    """
    kth = np.partition(distances, k - 1, axis=1)[:, k - 1 : k]  # (B, 1)
    rows, columns = np.nonzero(distances <= kth)
    return first_k(rows, columns, distances[rows, columns], len(distances), k)
