"""Hierarchical grouping: the two most similar neighbours become one region until one is left (algorithm 1)."""

from __future__ import annotations

import heapq

import numpy as np

from mlcvbench.contract import Array
from mlcvbench_rcnn.regions import Regions, filling, overlap_of_histograms, small_first, union_of_boxes

MEASURES = "ctsf"
"""Colour, texture, size and fill; the course notes leave out the last (E40)."""


def group(regions: Regions, area: float, measures: str = MEASURES) -> tuple[Array, Array]:
    """Return the boxes of all regions that are ever made, and which two regions each merge joined.

    `boxes` float64 (2 R - 1, 4): the R given ones, then the others in the order in which they are made; `merges` int64
    (R - 1, 2), first < second. `area`: pixels of the image; `measures`: the letters of the similarities that are added
    up. Of equally similar pairs that of the lowest numbers is merged.
    """
    count = len(regions.sizes)
    hierarchy = _Hierarchy(regions, area, measures)
    merges: list[tuple[int, int]] = []
    while len(merges) < count - 1:
        _, one, other = heapq.heappop(hierarchy.queue)
        if hierarchy.alive[one] and hierarchy.alive[other]:
            hierarchy.merge(one, other, count + len(merges))
            merges.append((one, other))
    return hierarchy.boxes, np.array(merges, dtype=np.int64).reshape(-1, 2)


class _Hierarchy:
    """The regions so far, with room for all that come, and the similarities of those that touch, highest first."""

    def __init__(self, regions: Regions, area: float, measures: str) -> None:
        self.area, self.measures = area, measures
        chosen = [part for letter, part in (("c", regions.colour), ("t", regions.texture)) if letter in measures]
        more = len(regions.sizes) - 1
        self.sizes = np.append(regions.sizes, np.zeros(more))
        self.boxes = np.concatenate([regions.boxes, np.zeros((more, 4))])
        histograms = np.concatenate([np.zeros((more + 1, 0)), *chosen], axis=1)
        self.histograms = np.concatenate([histograms, np.zeros((more, histograms.shape[1]))])
        self.alive = [True] * (more + 1) + [False] * more
        self.near: list[set[int]] = [set() for _ in self.alive]
        for one, other in regions.pairs.tolist():
            self.near[one].add(other)
            self.near[other].add(one)
        first, second = regions.pairs.T
        alike = self.alike(first, second)
        self.queue = list(zip((-alike).tolist(), first.tolist(), second.tolist(), strict=True))
        heapq.heapify(self.queue)

    def merge(self, one: int, other: int, new: int) -> None:
        """Join two regions as number `new`; their neighbours become its own."""
        size = self.sizes[one] + self.sizes[other]
        self.sizes[new] = size
        self.boxes[new] = union_of_boxes(self.boxes[one], self.boxes[other])
        shares = self.sizes[[one, other]] / size
        self.histograms[new] = shares @ self.histograms[[one, other]]
        around = (self.near[one] | self.near[other]) - {one, other}
        self.alive[one] = self.alive[other] = False
        self.alive[new] = True
        self.near[new] = around
        for region in around:
            self.near[region] -= {one, other}
            self.near[region].add(new)
        if around:
            others = sorted(around)
            for region, alike in zip(others, self.alike(np.array(new), np.array(others)).tolist(), strict=True):
                heapq.heappush(self.queue, (-alike, region, new))

    def alike(self, one: Array, others: Array) -> Array:
        """Return the similarity of a region, or of each of several, to others: float64 (N,)."""
        total = np.zeros(len(others))
        if self.histograms.shape[1]:
            total += overlap_of_histograms(self.histograms[one], self.histograms[others])
        sizes = self.sizes[one], self.sizes[others]
        if "s" in self.measures:
            total += small_first(*sizes, self.area)
        if "f" in self.measures:
            total += filling(sizes[0] + sizes[1], union_of_boxes(self.boxes[one], self.boxes[others]), self.area)
        return total
