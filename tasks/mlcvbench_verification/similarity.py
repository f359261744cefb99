"""Similarity of embeddings: larger means likelier the same person; distances count negative."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlcvbench.contract import Array

DISTANCES = ("cosine", "l2", "l1")
_CHUNK = 1 << 19
"""Numbers held at once; a chunk stays in the cache."""


def pair_similarity(embedding: Array, first: Array, second: Array, distance: str) -> Array:
    """Return float32 (P,): cosine of the angle, or minus the Euclidean or city-block distance, of pairs of rows.

    Each pair is computed by itself in float64 and rounded once, so the values do not depend on how pairs are blocked.

    Args:
        embedding: float32 (N, D).
        first: places (P,).
        second: places (P,).
        distance: `cosine`, `l2` or `l1`.

    >>> pair_similarity(np.float32([[3, 4], [4, 3]]), np.array([0]), np.array([1]), "l1").tolist()
    [-2.0]

    """
    wide = embedding.astype(np.float64)
    if distance == "cosine":
        wide /= np.sqrt(np.einsum("ij,ij->i", wide, wide))[:, None]
    compare = _COMPARE[distance]
    values = np.empty(len(first), dtype=np.float32)
    rows = max(1, _CHUNK // max(1, embedding.shape[1]))
    for start in range(0, len(first), rows):
        block = slice(start, start + rows)
        values[block] = compare(wide[first[block]], wide[second[block]])
    return values


def _cosine(one: Array, other: Array) -> Array:
    product: Array = np.einsum("ij,ij->i", one, other)
    return product


def _euclidean(one: Array, other: Array) -> Array:
    difference = one - other
    length: Array = -np.sqrt(np.einsum("ij,ij->i", difference, difference))
    return length


def _city_block(one: Array, other: Array) -> Array:
    total: Array = -np.abs(one - other).sum(axis=1)
    return total


_COMPARE: dict[str, Callable[[Array, Array], Array]] = {"cosine": _cosine, "l2": _euclidean, "l1": _city_block}
