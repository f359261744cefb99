"""One detection from the many windows around an object (Viola and Jones 2001, section 5.6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlcvbench.contract import Array
from mlcvbench_viola_jones.truths import overlap

ALIKE = 0.2
"""Windows whose sides lie no farther apart than this part of their size show one object: OpenCV's default."""
_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Merged:
    """Detections, best first: `boxes` float64 (n, 4) x1 y1 x2 y2, `scores` float64 (n,), `windows` int64 (n,)."""

    boxes: Array
    scores: Array
    windows: Array


def merge(boxes: Array, margins: Array, neighbours: int, most: float) -> Merged:
    """Return the mean of each set of like windows (n, 4); a set of fewer than `neighbours` is dropped.

    A detection's score is the logarithm of its number of windows plus their mean margin. Of two that overlap by an IoU
    above `most` the better one stays (the paper leaves open what becomes of means that overlap again).
    """
    group = groups_of(boxes)
    count = np.bincount(group).astype(np.int64)
    if not len(count):
        return Merged(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.int64))
    mean = np.stack([np.bincount(group, weights=column) for column in boxes.T], axis=1) / count[:, None]
    scores = np.log(count) + np.bincount(group, weights=margins) / count
    order = np.argsort(-scores, kind="stable")
    order = order[count[order] >= neighbours]
    kept: list[int] = []
    iou = overlap(mean[order], mean[order])
    for place in range(len(order)):
        if not (iou[place, kept] > most).any():
            kept.append(place)
    chosen = order[kept]
    return Merged(mean[chosen], scores[chosen], count[chosen])


def groups_of(boxes: Array) -> Array:
    """Return the number of each window's set, int64 (n,): like windows, and those like them, and so on.

    Two are alike, as for OpenCV's `groupRectangles`, when no side is farther from the other's than `ALIKE` times the
    mean of the smaller width and the smaller height.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rows, columns = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    size = boxes[:, 2:] - boxes[:, :2]
    for first in range(0, len(boxes), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        least = np.minimum(size[some, None], size[None]).sum(axis=2) * ALIKE / 2
        apart = np.abs(boxes[some, None] - boxes[None]).max(axis=2)
        row, column = np.nonzero(apart <= least)
        rows.append(row + first)
        columns.append(column)
    row, column = np.concatenate(rows), np.concatenate(columns)
    graph = coo_matrix((np.ones(len(row), dtype=bool), (row, column)), shape=(len(boxes), len(boxes)))
    group: Array = connected_components(graph, directed=False)[1].astype(np.int64)
    return group
