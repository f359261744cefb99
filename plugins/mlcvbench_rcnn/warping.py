"""Regions of an image brought to the size of a network's input, with some of what is around them."""

from __future__ import annotations

import math

import numpy as np

from mlcvbench.contract import Array


def warp(image: Array, boxes: Array, side: int, context: int, fill: Array) -> Array:
    """Return regions of an image uint8 (H, W, C) as uint8 (N, side, side, C), each stretched to the square.

    A box float (N, 4) fills the square but for `context` pixels on each side, which show what is around it; beyond the
    image that is `fill` (C,) (Girshick et al. 2014, appendix A, with 16 of 227 pixels and the mean of the training
    images). Bilinear; what shrinks by more than 2 is halved before.
    """
    import cv2

    levels = [image]
    out = np.empty((len(boxes), side, side, image.shape[2]), dtype=np.uint8)
    for place, (x, y, wide, high) in enumerate(shown(boxes, side, context)):
        level = math.ceil(math.log2(max(1.0, min(wide, high) / (2 * side))))
        while len(levels) <= level:
            levels.append(_halved(levels[-1]))
        shown_at = levels[level]
        across, down = shown_at.shape[1] / image.shape[1], shown_at.shape[0] / image.shape[0]
        steps = wide * across / side, high * down / side
        # OpenCV counts from the middle of the first pixel
        matrix = np.array(
            [[steps[0], 0, x * across + steps[0] / 2 - 0.5], [0, steps[1], y * down + steps[1] / 2 - 0.5]]
        )
        out[place] = cv2.warpAffine(
            shown_at,
            matrix,
            (side, side),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=fill.tolist(),
        ).reshape(side, side, -1)
    return out


def shown(boxes: Array, side: int, context: int) -> Array:
    """Return what is shown of boxes (N, 4) x1 y1 x2 y2 with their context: float64 (N, 4) x y width height.

    >>> shown(np.array([[10.0, 20, 20, 40]]), 20, 5).tolist()
    [[5.0, 10.0, 20.0, 40.0]]
    """
    corner, size = boxes[:, :2].astype(np.float64), (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)
    inside = side - 2 * context
    seen: Array = np.concatenate([corner - size * context / inside, size * side / inside], axis=1)
    return seen


def _halved(image: Array) -> Array:
    import cv2

    height, width = (max(1, -(-own // 2)) for own in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).reshape(height, width, -1)
