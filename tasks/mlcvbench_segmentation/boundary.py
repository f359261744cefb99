"""Boundary F: how well the outlines of the classes fit, after Csurka et al., BMVC 2013 (the BF score).

The boundary of a class is the set of its pixels that have a 4-neighbour of another class; edges of the image and of
ignored regions are not boundary. A boundary pixel is matched when a boundary pixel of the same class in the other map
lies within `tolerance` x the image diagonal (Euclidean distance between pixel centres). Precision is the matched share
of the predicted boundary, recall that of the labelled one; F is their harmonic mean, for one class in one image. A
class with a boundary in only one of the maps has F = 0; one with a boundary in neither has no F.
"""

from __future__ import annotations

import math

import numpy as np

from mlcvbench.contract import Array

_EPSILON = 1e-4
"""OpenCV's exact distances are square roots in float32; whole pixels must not be missed by rounding."""


def boundary_pixels(label_map: Array, classes: int) -> Array:
    """Return bool (H, W): pixels below `classes` with a 4-neighbour that is below `classes` too and different.

    >>> boundary_pixels(np.array([[0, 0, 1, 255, 0]], np.uint8), 2).astype(int).tolist()
    [[0, 1, 1, 0, 0]]
    """
    valid = label_map < classes
    found = np.zeros(label_map.shape, dtype=bool)
    for one, other in (
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
        ((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
    ):
        differs = (label_map[one] != label_map[other]) & valid[one] & valid[other]
        found[one] |= differs
        found[other] |= differs
    return found


def boundary_scores(label: Array, prediction: Array, classes: int, tolerance: float) -> Array:
    """Return float64 (C,): F of each class in one image, NaN for a class without boundary in both maps.

    Args:
        label: (H, W); values of `classes` and above are ignored, in the prediction as well.
        prediction: (H, W) in 0..C-1.
        classes: C.
        tolerance: share of the image diagonal, such as 0.0075.

    """
    masked = np.where(label < classes, prediction, np.iinfo(label.dtype).max).astype(label.dtype)
    radius = tolerance * math.hypot(*label.shape)
    labelled, predicted = boundary_pixels(label, classes), boundary_pixels(masked, classes)
    scores = np.full(classes, np.nan)
    for name in np.union1d(label[labelled], masked[predicted]).tolist():
        truth, guess = labelled & (label == name), predicted & (masked == name)
        if not truth.any() or not guess.any():
            scores[name] = 0.0
            continue
        window = _window(truth | guess)
        truth, guess = truth[window], guess[window]
        precision = _share_near(guess, truth, radius)
        recall = _share_near(truth, guess, radius)
        scores[name] = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return scores


def _window(mask: Array) -> tuple[slice, slice]:
    """Return the smallest window that contains every set pixel; distances inside it are the same."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _share_near(pixels: Array, others: Array, radius: float) -> float:
    """Return the share of `pixels` that have one of `others` within `radius`."""
    import cv2

    distance = cv2.distanceTransform((~others).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float(np.count_nonzero(distance[pixels] <= radius + _EPSILON) / np.count_nonzero(pixels))
