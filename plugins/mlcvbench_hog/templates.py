"""Windows: the shapes that are slid over the pyramid, chosen by class from the training boxes, and their boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlcvbench.contract import Array
from mlcvbench_hog.features import CHANNELS, Level

LARGEST_SCALE = 4.0
"""The largest enlargement of images."""
MARGIN_CELLS = 1
"""Cells around the object that belong to its window."""


@dataclass(frozen=True, slots=True)
class Template:
    """A window of one class: the object covers `rows` x `columns` cells, one more cell around it is looked at."""

    label: int
    rows: int
    columns: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Blocks of the window (rows, columns, 36)."""
        return self.rows + 2 * MARGIN_CELLS - 1, self.columns + 2 * MARGIN_CELLS - 1, CHANNELS

    @property
    def features(self) -> int:
        """Numbers that describe a window."""
        return math.prod(self.shape)

    def boxes(self, row: Array, column: Array, scale: tuple[float, float], cell: int) -> Array:
        """Return float64 (n, 4) x1 y1 x2 y2 in image pixels of the objects in windows that begin at blocks (n,)."""
        corners = np.stack([column, row, column + self.columns, row + self.rows], axis=1) * cell
        boxes: Array = corners / np.array([*scale, *scale])
        return boxes

    def window(self, level: Level, row: int, column: int) -> Array:
        """Return the features of one window, float32 (features,)."""
        rows, columns, _ = self.shape
        return level.blocks[row : row + rows, column : column + columns].ravel()


def choose_templates(aspects: Sequence[Array], window: int, count: int, seed: int) -> tuple[Template, ...]:
    """Return up to `count` window shapes per class, about `window` x `window` cells in area, from boxes' height /
    width.

    The logarithms of a class's aspect ratios are grouped by k-means; groups that round to one shape share it.
    """
    from sklearn.cluster import KMeans

    templates: list[Template] = []
    for label, ratios in enumerate(aspects):
        logs = np.log(ratios)[:, None]
        groups = min(count, len(np.unique(logs)))
        if groups == 0:
            continue
        centers = KMeans(groups, n_init=3, random_state=seed).fit(logs).cluster_centers_.ravel()
        shapes = {
            (max(2, round(window * math.exp(c / 2))), max(2, round(window * math.exp(-c / 2))))
            for c in centers.tolist()
        }
        templates += [Template(label, rows, columns) for rows, columns in sorted(shapes)]
    return tuple(templates)


def nearest_template(templates: Sequence[Template], label: int, aspect: float) -> int:
    """Return the index of the template of a class whose height / width is nearest to `aspect`."""
    own = [index for index, template in enumerate(templates) if template.label == label]
    return min(own, key=lambda i: abs(math.log(templates[i].rows / templates[i].columns / aspect)))


def pyramid_scales(sides: Array, window: int, cell: int, octave: int) -> Array:
    """Return the scales, large to small, at which objects of `sides` (square root of the area, pixels) fill a window.

    All but the smallest and the largest hundredth of the objects are reached, in `octave` steps for a factor of 2.
    """
    low, high = np.percentile(sides, [1, 99])
    first = min(LARGEST_SCALE, window * cell / low)
    steps = max(0, math.ceil(octave * math.log2(max(1.0, first * high / (window * cell)))))
    scales: Array = first * 0.5 ** (np.arange(steps + 1) / octave)
    return scales
