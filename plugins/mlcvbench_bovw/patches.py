"""Sampling of patches: a regular grid, random positions, Harris corners or extrema of differences of Gaussians."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mlcvbench.contract import Array

HARRIS_BLOCK, HARRIS_APERTURE, HARRIS_K = 2, 3, 0.04
SIDES = 6.0
"""SIFT describes 4 x 4 cells of 3 sigma a side: 12 sigma, while OpenCV's size of a key point is 2 sigma."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """`points`: grid, random, harris or dog; `step` in pixels for the grid, at most `patches` of the others an image.

    `scales`: pixels per side of the patches; each point of harris, random and grid is looked at in each.
    With `scaling` random it is looked at once, in a side between the least and the largest, all ratios being alike.
    """

    points: str = "grid"
    step: int = 3
    patches: int = 100
    scales: Sequence[float] = (8.0, 12.0)
    scaling: str = "each"

    def of(self, gray: Array) -> Array:
        """Return the patches of an image uint8 (H, W): float32 (P, 3), centre x and y and side in pixels.

        There may be none: a uniform surface has no corners.
        """
        if self.points == "dog":
            return _extrema(gray, self.patches)
        # Randomness is seeded by the image's pixels, so that neither batch nor order changes it.
        seed = int.from_bytes(hashlib.sha256(np.ascontiguousarray(gray).tobytes()).digest()[:8], "little")
        rng = np.random.default_rng(seed)
        centres = self._centres(gray, rng)  # (Q, 2)
        if self.scaling == "random":
            least, largest = min(self.scales), max(self.scales)
            drawn = least * (largest / least) ** rng.random(len(centres))
            return np.column_stack([centres, drawn]).astype(np.float32)
        sides = np.repeat(np.asarray(self.scales, np.float32), len(centres))
        return np.column_stack([np.tile(centres, (len(self.scales), 1)), sides]).astype(np.float32)

    def _centres(self, gray: Array, rng: np.random.Generator) -> Array:
        height, width = gray.shape
        if self.points == "grid":
            return _grid(height, width, self.step)
        if self.points == "harris":
            return _corners(gray, self.patches)
        return (rng.random((self.patches, 2)) * (width, height)).astype(np.float32)


def _grid(height: int, width: int, step: int) -> Array:
    """Return the centres (x, y) of a grid laid symmetrically into the image."""

    def places(size: int) -> Array:
        count = max(1, (size - 1) // step)
        return (size - 1) / 2 + (np.arange(count) - (count - 1) / 2) * step

    x, y = np.meshgrid(places(width), places(height))
    return np.column_stack([x.ravel(), y.ravel()]).astype(np.float32)


def _corners(gray: Array, most: int) -> Array:
    """Return the local maxima of Harris' response (Harris and Stephens 1988), the strongest first."""
    response = cv2.cornerHarris(gray.astype(np.float32), HARRIS_BLOCK, HARRIS_APERTURE, HARRIS_K)
    peaks = (response == cv2.dilate(response, np.ones((3, 3), np.uint8))) & (response > 0.01 * max(response.max(), 0))
    y, x = np.nonzero(peaks & (response > 0))
    strongest = np.argsort(-response[y, x], kind="stable")[:most]
    return np.column_stack([x[strongest], y[strongest]]).astype(np.float32)


def _extrema(gray: Array, most: int) -> Array:
    """Return SIFT's key points (Lowe 2004), the strongest first, each with the square that SIFT describes there.

    A point of several orientations is one place: descriptors here are upright. In a small image most squares reach
    beyond the border, and stay: SIFT leaves out what lies outside, other descriptors see the border repeated.
    """
    found: Sequence[cv2.KeyPoint] = cv2.SIFT.create(contrastThreshold=0.02).detect(gray, None)
    strongest = sorted(found, key=lambda point: (-point.response, point.pt, point.size))
    places = dict.fromkeys((*point.pt, SIDES * point.size) for point in strongest)  # each once, in order
    return np.array(list(places)[:most], np.float32).reshape(-1, 3)
