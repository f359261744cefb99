"""Hierarchical grouping: the order of merges is that of looking at all pairs again after each."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench_rcnn.grouping import group
from mlcvbench_rcnn.regions import Regions, colour_bins, regions_of, texture_bins


def blocks(seed: int, side: int = 5) -> tuple[Regions, np.ndarray]:
    """Return the regions of a picture of side x side blocks of random colours and noise, and their labels."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.repeat(np.arange(side**2).reshape(side, side), 6, axis=0), 4, axis=1)
    image = generator.integers(0, 200, (side**2, 3))[labels] + generator.integers(0, 56, (*labels.shape, 3))
    shown = image.astype(np.uint8)
    return regions_of(labels, colour_bins(shown), texture_bins(shown)), labels


def by_brute_force(labels: np.ndarray, regions: Regions, measures: str) -> tuple[list[list[float]], list[list[int]]]:
    """Merge the most similar neighbours, everything worked out anew from the pixels of each region."""
    area, count = labels.size, len(regions.sizes)
    members = {number: [number] for number in range(count)}
    touching = {tuple(pair) for pair in regions.pairs.tolist()}
    boxes, merges = regions.boxes.tolist(), []

    def histogram(parts: list[int], kind: np.ndarray) -> np.ndarray:
        return regions.sizes[parts] @ kind[parts] / regions.sizes[parts].sum()

    def box(parts: list[int]) -> list[float]:
        own = regions.boxes[parts]
        return [*own[:, :2].min(axis=0), *own[:, 2:].max(axis=0)]

    def alike(one: int, other: int) -> float:
        a, b = members[one], members[other]
        size, (x0, y0, x1, y1) = regions.sizes[a + b].sum(), box(a + b)
        parts = {
            "c": np.minimum(histogram(a, regions.colour), histogram(b, regions.colour)).sum(),
            "t": np.minimum(histogram(a, regions.texture), histogram(b, regions.texture)).sum(),
            "s": 1 - size / area,
            "f": 1 - ((x1 - x0) * (y1 - y0) - size) / area,
        }
        return sum(parts[letter] for letter in measures)

    for new in range(count, 2 * count - 1):
        pairs = [
            (one, other)
            for one in members
            for other in members
            if one < other and any((min(a, b), max(a, b)) in touching for a in members[one] for b in members[other])
        ]
        one, other = max(pairs, key=lambda pair: alike(*pair))
        members[new] = members.pop(one) + members.pop(other)
        boxes.append(box(members[new]))
        merges.append([one, other])
    return boxes, merges


@pytest.mark.parametrize("measures", ["ctsf", "tsf", "f", "s", "c"])
@pytest.mark.parametrize("seed", range(3))
def test_the_most_similar_neighbours_are_merged(seed, measures):
    regions, labels = blocks(seed, 3)
    if measures == "s":  # blocks of one size would all be equally similar
        regions = regions._replace(sizes=regions.sizes + np.random.default_rng(seed).random(len(regions.sizes)))
        labels = np.broadcast_to(0, (1, round(regions.sizes.sum())))
    boxes, merges = group(regions, labels.size, measures)

    wanted_boxes, wanted_merges = by_brute_force(labels, regions, measures)

    assert merges.tolist() == wanted_merges
    assert boxes.tolist() == wanted_boxes


def test_every_region_is_merged_once_and_the_last_is_the_image():
    regions, labels = blocks(7)

    boxes, merges = group(regions, labels.size)

    assert sorted(merges.ravel().tolist()) == list(range(2 * 25 - 2))
    assert boxes.shape == (2 * 25 - 1, 4)
    assert boxes[-1].tolist() == [0, 0, labels.shape[1], labels.shape[0]]


def test_of_equally_similar_pairs_the_first_is_merged():
    labels = np.arange(4)[None]
    bins = np.zeros((1, 4, 1), dtype=np.int64)

    _, merges = group(regions_of(labels, bins, bins), 4, "c")

    assert merges[0].tolist() == [0, 1]


def test_an_image_of_one_region_is_one_box():
    labels, bins = np.zeros((3, 4), dtype=np.int64), np.zeros((3, 4, 1), dtype=np.int64)

    boxes, merges = group(regions_of(labels, bins, bins), 12)

    assert boxes.tolist() == [[0, 0, 4, 3]]
    assert merges.shape == (0, 2)
