"""Regions of one over-segmented image, and how alike two of them are (Uijlings et al. 2013, section 3.2).

A region is a size, a bounding box, a histogram of colours and one of textures; all of them follow for the union of two
regions from those of the two, so that pixels are looked at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array

COLOUR_BINS = 25
"""Bins of a colour channel."""
DIRECTIONS = 8
TEXTURE_BINS = 10
"""Bins of the derivative of a channel in one of eight directions."""
DERIVATIVE_RADIUS = 4
"""Pixels; a Gaussian of deviation 1 is below 1e-3 beyond."""
BYTES = 256
"""Values of a channel."""


class Regions(NamedTuple):
    """R regions: `sizes` float64 (R,) pixels; `boxes` float64 (R, 4) x1 y1 x2 y2; histograms that each sum to 1.

    `colour` float64 (R, 25 C), `texture` float64 (R, 80 C); `pairs` int64 (E, 2), which of them touch, first < second.
    """

    sizes: Array
    boxes: Array
    colour: Array
    texture: Array
    pairs: Array


def regions_of(labels: Array, colours: Array, textures: Array) -> Regions:
    """Return the regions of an image from the number of each pixel's region, int (H, W), from 0 without gaps.

    `colours`, `textures`: the bins that each pixel is counted in, from `colour_bins` and `texture_bins`.
    """
    count = int(labels.max()) + 1
    sizes = np.bincount(labels.ravel(), minlength=count).astype(np.float64)
    return Regions(
        sizes,
        _boxes(labels, count),
        _histograms(labels, colours, count, COLOUR_BINS * colours.shape[2]),
        _histograms(labels, textures, count, TEXTURE_BINS * textures.shape[2]),
        _touching(labels, count),
    )


def colour_bins(image: Array) -> Array:
    """Return the bin of each value of an image uint8 (H, W, C) among the 25 C, int64 (H, W, C)."""
    bins: Array = image.astype(np.int64) * COLOUR_BINS // BYTES
    return bins + np.arange(image.shape[2]) * COLOUR_BINS


def texture_bins(image: Array) -> Array:
    """Return the bin of the derivative in each direction at each value of an image uint8 (H, W, C).

    Derivatives of a Gaussian of deviation 1, what rises in eight directions 45 degrees apart, in ten bins up to the
    largest of the channel: int64 (H, W, 8 C).
    """
    import cv2

    offsets = np.arange(-DERIVATIVE_RADIUS, DERIVATIVE_RADIUS + 1, dtype=np.float32)
    smooth = np.exp(-(offsets**2) / 2)
    smooth /= smooth.sum()
    slope = offsets * smooth  # correlated with, so that it is positive where values rise
    pixels = image.astype(np.float32)
    across, down = (
        cv2.sepFilter2D(pixels, cv2.CV_32F, wide, high, borderType=cv2.BORDER_REFLECT_101).reshape(pixels.shape)
        for wide, high in ((slope, smooth), (smooth, slope))
    )
    diagonals = ((across + down) / np.sqrt(np.float32(2)), (across - down) / np.sqrt(np.float32(2)))
    rises = np.stack([across, down, *diagonals], axis=2)  # (H, W, 4, C)
    rises = np.concatenate([rises, -rises], axis=2)  # (H, W, 8, C)
    most = np.maximum(rises.max(axis=(0, 1, 2)), np.float32(1e-6))
    bins = np.clip(rises * (TEXTURE_BINS / most), 0, TEXTURE_BINS - 1).astype(np.int64)
    bins += np.arange(bins[0, 0].size).reshape(bins.shape[2:]) * TEXTURE_BINS
    flat: Array = bins.reshape(*image.shape[:2], -1)
    return flat


def overlap_of_histograms(one: Array, others: Array) -> Array:
    """Return what two histograms that sum to 1 share, in [0, 1]: the sum of the smaller of each two bins (2, 4).

    >>> overlap_of_histograms(np.array([0.5, 0.5]), np.array([[0.5, 0.5], [1.0, 0.0]])).tolist()
    [1.0, 0.5]
    """
    shared: Array = np.minimum(one, others).sum(axis=-1)
    return shared


def small_first(size: float | Array, others: Array, area: float) -> Array:
    """Return 1 - (size + other) / area: the smaller both, the more alike (5)."""
    alike: Array = 1 - (size + others) / area
    return alike


def filling(sizes: Array, unions: Array, area: float) -> Array:
    """Return 1 - (pixels of the box around both that are in neither) / area (6).

    `sizes` (N,): pixels of both regions together; `unions` (N, 4): the boxes around both.
    """
    alike: Array = 1 - ((unions[:, 2] - unions[:, 0]) * (unions[:, 3] - unions[:, 1]) - sizes) / area
    return alike


def union_of_boxes(box: Array, others: Array) -> Array:
    """Return the boxes (N, 4) around a box (4,), or each of (N, 4), and others (N, 4)."""
    return np.concatenate(
        [np.minimum(box[..., :2], others[..., :2]), np.maximum(box[..., 2:], others[..., 2:])], axis=-1
    )


def _histograms(labels: Array, bins: Array, count: int, width: int) -> Array:
    """Return which share of each region's entries is in each bin, float64 (count, width)."""
    places = (labels[:, :, None] * width + bins).ravel()
    counts = np.bincount(places, minlength=count * width).reshape(count, width).astype(np.float64)
    shares: Array = counts / counts.sum(axis=1, keepdims=True)
    return shares


def _boxes(labels: Array, count: int) -> Array:
    """Return the bounding box of each region: numpy's unbuffered minimum is slow, sorted starts are not."""
    order = np.argsort(labels, axis=None, kind="stable")
    starts = np.searchsorted(labels.ravel()[order], np.arange(count))
    rows, columns = np.divmod(order, labels.shape[1])
    lows = [np.minimum.reduceat(part, starts) for part in (columns, rows)]
    highs = [np.maximum.reduceat(part, starts) + 1 for part in (columns, rows)]
    return np.stack([*lows, *highs], axis=1).astype(np.float64)


def _touching(labels: Array, count: int) -> Array:
    """Return which regions have pixels side by side or corner to corner, int64 (E, 2), in order."""
    sides = [
        (labels[:, 1:], labels[:, :-1]),
        (labels[1:], labels[:-1]),
        (labels[1:, 1:], labels[:-1, :-1]),
        (labels[1:, :-1], labels[:-1, 1:]),
    ]
    codes = [(np.minimum(a, b) * count + np.maximum(a, b))[a != b] for a, b in sides]
    return np.stack(np.divmod(np.unique(np.concatenate(codes)), count), axis=1)
