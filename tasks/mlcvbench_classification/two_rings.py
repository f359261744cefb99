"""Two rings: points in a plane that are not linearly separable, as images of one row whose two pixels are x and y."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlcvbench.contract import Array, ArraySplit, InputSpec, LoadedData, Problem, Split

CLASSES = ("inner", "outer")
RADII = np.array([0.4, 0.8])
"""Radii in half widths of the square."""
SIZES = {"train": 400, "val": 100, "test": 400}


def load_two_rings(params: Mapping[str, Any], data_seed: int) -> LoadedData:
    """Return points uint8 (N, 1, 2), centred at 127.5, half of them from each ring.

    `width`: of the rings, in half widths of the square. Only + - * / and square roots are used, so that the points are
    the same on every machine.
    """
    generator = np.random.default_rng(data_seed)
    splits: dict[str, Split] = {}
    for name, count in SIZES.items():
        labels = np.arange(count, dtype=np.int64) % len(CLASSES)
        radii = RADII[labels] + params["width"] * (generator.random(count) - 0.5)
        points = radii[:, None] * _directions(count, generator)  # (N, 2) in [-1, 1]
        pixels = np.rint(127.5 * (1 + points)).astype(np.uint8)
        ids = [f"{name}-{index:04d}" for index in range(count)]
        splits[name] = ArraySplit(name, {"image": pixels[:, None]}, {"label": labels}, ids=ids)
    problem = Problem("classification", CLASSES, {"image": InputSpec((1, 2))})
    return LoadedData("two_rings", "1", problem, splits)


def _directions(count: int, generator: np.random.Generator) -> Array:
    """Return unit vectors of uniform direction, float64 (count, 2)."""
    found = np.zeros((0, 2))
    while len(found) < count:
        drawn = 2 * generator.random((2 * count, 2)) - 1
        squares = (drawn * drawn).sum(axis=1)
        inside = (squares > 0.01) & (squares <= 1)
        found = np.concatenate([found, drawn[inside] / np.sqrt(squares[inside, None])])
    return found[:count]
