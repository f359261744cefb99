"""Selective search (Uijlings et al. 2013): boxes that may hold an object of any class.

The image is over-segmented (Felzenszwalb and Huttenlocher 2004) and neighbouring regions are grouped until one is left;
every region on the way is a proposal. Several colour spaces, thresholds and measures of similarity give other regions,
and all of them are proposals (section 3.3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array
from mlcvbench_rcnn.grouping import group
from mlcvbench_rcnn.regions import colour_bins, regions_of, texture_bins

SIGMA = 0.8
"""Of the Gaussian before an image is segmented."""


class Strategies(NamedTuple):
    """Colour spaces, and the letters of the similarities that are added up; each with each (table 5)."""

    colours: tuple[str, ...]
    measures: tuple[str, ...]


MODES = {
    "single": Strategies(("hsv",), ("ctsf",)),
    "fast": Strategies(("hsv", "lab"), ("ctsf", "tsf")),
    "quality": Strategies(("hsv", "lab", "rgi", "h", "grey"), ("ctsf", "tsf", "f", "s")),
}


class Search(NamedTuple):
    """How to search. `mode` is one of `MODES`; `thresholds`: the k of the segmentation, a larger one for larger
    regions; `smallest`: pixels of a region, at least; `side`: of the image, at most, a larger one is shrunk.
    """

    mode: str = "fast"
    thresholds: Sequence[float] = (50.0, 100.0)
    smallest: int = 20
    side: int = 500


def selective_search(image: Array, search: Search, seed: int) -> Array:
    """Return the proposals of an image uint8 (H, W) or (H, W, 3): float32 (P, 4) x1 y1 x2 y2 in pixels, best first.

    A region counts by its place in its hierarchy, 1 for the whole image, times a random number in [0, 1), smallest
    first; of equal boxes the first stays (section 4.3). `seed` says which random numbers, anew for each image, so that
    the proposals of an image depend on nothing else.
    """
    colour = np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image
    small = _shrunk(colour, search.side)
    generator = np.random.default_rng(seed)
    boxes, values = [np.zeros((0, 4))], [np.zeros(0)]
    for found in _hierarchies(small, search):
        places = np.arange(len(found), 0, -1)
        boxes.append(found)
        values.append(places * generator.random(len(found)))
    ranked = np.concatenate(boxes)[np.argsort(np.concatenate(values), kind="stable")]
    height, width = (side / shrunk for side, shrunk in zip(colour.shape[:2], small.shape[:2], strict=True))
    boxes_in_image: Array = (first_of_equal(ranked) * np.array([width, height] * 2)).astype(np.float32)
    return boxes_in_image


def first_of_equal(boxes: Array) -> Array:
    """Return boxes (N, 4) in their order without those that came before.

    >>> first_of_equal(np.array([[0, 0, 2, 2], [0, 0, 1, 1], [0, 0, 2, 2]])).tolist()
    [[0, 0, 2, 2], [0, 0, 1, 1]]
    """
    _, first = np.unique(boxes, axis=0, return_index=True)
    kept: Array = boxes[np.sort(first)]
    return kept


def _hierarchies(image: Array, search: Search) -> Iterator[Array]:
    """Yield the boxes of all regions of each strategy, (2 R - 1, 4), the whole image last."""
    from skimage.segmentation import felzenszwalb

    strategies = MODES[search.mode]
    for space in strategies.colours:
        converted = in_colours(image, space)
        colours, textures = colour_bins(converted), texture_bins(converted)
        for threshold in search.thresholds:
            labels = felzenszwalb(converted, threshold, SIGMA, search.smallest, channel_axis=2)
            regions = regions_of(labels, colours, textures)
            for measures in strategies.measures:
                yield group(regions, labels.size, measures)[0]


def in_colours(image: Array, space: str) -> Array:
    """Return an image uint8 RGB (H, W, 3) in a colour space, uint8 (H, W, C): `hsv`, `lab`, `rgi`, `h` or `grey`.

    `rgi` are the shares of red and green, and the intensity; `h` is the hue.
    """
    import cv2

    if space == "lab":
        return cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    if space in {"hsv", "h"}:
        converted = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
        return converted if space == "hsv" else converted[:, :, :1]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[:, :, None]
    if space == "grey":
        return grey
    total = np.maximum(image.sum(axis=2, dtype=np.float32, keepdims=True), 1)
    return np.concatenate([np.rint(image[:, :, :2] * (255 / total)).astype(np.uint8), grey], axis=2)


def _shrunk(image: Array, side: int) -> Array:
    """Return an image no side of which is above `side` pixels."""
    import cv2

    longest = max(image.shape[:2])
    if longest <= side:
        return image
    height, width = (max(1, round(own * side / longest)) for own in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
