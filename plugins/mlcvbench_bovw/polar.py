"""Polar features: points in a ring become separable by a line."""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array


def polar(points: Array) -> Array:
    """Return radius and angle in (-pi, pi], float64 (N, 2), of points (N, 2).

    The angle jumps at the negative x axis: points on either side of it are neighbours, their angles are not.

    >>> polar(np.array([[0.0, 2.0]])).round(4).tolist()
    [[2.0, 1.5708]]
    """
    x, y = np.asarray(points, np.float64).T
    return np.column_stack([np.hypot(x, y), np.arctan2(y, x)])
