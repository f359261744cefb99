"""A gallery: embeddings with a name each. Who is in it changes at any time; the network that embeds stays as it is."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array


class Nearest(NamedTuple):
    """The entries nearest to each query, the nearest first: cosines float32 (B, k) and places int64 (B, k)."""

    similarity: Array
    places: Array


class Gallery:
    """Points of length 1 and the name of each; a name may have several.

    On unit vectors |a - b|^2 = 2 - 2 cos, so that the nearest by cosine is the nearest by distance.

    >>> gallery = Gallery()
    >>> gallery.add("ann", np.array([[1.0, 0.0]]))
    >>> gallery.add("bob", np.array([[0.0, 3.0]]))
    >>> gallery.who(np.array([[2.0, 1.0]]), k=1)
    ['ann']
    >>> gallery.remove("ann")
    >>> gallery.who(np.array([[2.0, 1.0]]), k=1)
    ['bob']
    """

    def __init__(self) -> None:
        self.points: Array = np.zeros((0, 0), dtype=np.float32)
        self.names: list[Hashable] = []

    def __len__(self) -> int:
        return len(self.names)

    def add(self, name: Hashable, points: Array) -> None:
        """Add points (N, D) of any length under a name; ValueError for a point of zeros, which has no direction."""
        self.extend([name] * len(points), points)

    def extend(self, names: Sequence[Hashable], points: Array) -> None:
        """Add points (N, D), each under its own name."""
        rows = unit_rows(points)
        width = self.points.shape[1] if self.names else rows.shape[1]
        if rows.shape != (len(names), width):
            raise ValueError(f"wanted a point for each name, {(len(names), width)}, got {rows.shape}.")
        self.points = np.concatenate([self.points.reshape(-1, width), rows])
        self.names += names

    def remove(self, name: Hashable) -> None:
        """Remove everything of a name; KeyError when it has nothing here."""
        kept = [place for place, own in enumerate(self.names) if own != name]
        if len(kept) == len(self.names):
            raise KeyError(name)
        self.points, self.names = self.points[kept], [self.names[place] for place in kept]

    def nearest(self, points: Array, k: int) -> Nearest:
        """Return the k entries nearest to each of points (B, D), or all; among equally near ones the earlier first."""
        similarity = unit_rows(points) @ self.points.T
        places = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
        return Nearest(np.take_along_axis(similarity, places, 1), places)

    def who(self, points: Array, k: int = 1) -> list[Hashable]:
        """Return for each point the name with most of the k nearest entries; among equals the one met first."""
        found = self.nearest(points, k).places.tolist()
        votes = [[self.names[place] for place in own] for own in found]
        return [max(own, key=own.count) for own in votes]


def unit_rows(points: Array) -> Array:
    """Return points (N, D) at length 1, float32; ValueError for one of zeros."""
    wide = np.asarray(points, dtype=np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    if not lengths.all():
        raise ValueError("a point of zeros has no direction.")
    rows: Array = (wide / lengths).astype(np.float32)
    return rows
