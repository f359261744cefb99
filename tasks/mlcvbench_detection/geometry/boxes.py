"""Boxes: [x, y, width, height] as in COCO files, [x1, y1, x2, y2] as models return them, and their IoU."""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array
from mlcvbench_detection.geometry.matching import PairIou


def to_xywh(corners: Array) -> Array:
    """Return float64 (N, 4) [x, y, width, height] of corners (N, 4); exact for corners that are float32.

    >>> to_xywh(np.array([[1, 2, 4, 8]], dtype=np.float32)).tolist()
    [[1.0, 2.0, 3.0, 6.0]]
    """
    wide = corners.astype(np.float64)
    wide[:, 2:] -= wide[:, :2]
    return wide


def to_corners(xywh: Array) -> Array:
    """Return float64 (N, 4) [x1, y1, x2, y2] of [x, y, width, height] (N, 4)."""
    wide = xywh.astype(np.float64)
    wide[:, 2:] += wide[:, :2]
    return wide


def pairwise_iou(detected: Array, annotated: Array, crowd: Array) -> PairIou:
    """Return the IoU function of two sets of boxes, float64 xywh (N, 4) and (M, 4).

    For a crowd (M,) the union is the detection alone. The operations and their order are those of pycocotools' `bbIou`,
    so the results are equal bit for bit. Boxes that only touch have IoU 0.
    """
    d = np.ascontiguousarray(detected.T)
    a = np.ascontiguousarray(annotated.T)
    d_area, a_area = d[2] * d[3], a[2] * a[3]
    d_right, d_bottom = d[2] + d[0], d[3] + d[1]
    a_right, a_bottom = a[2] + a[0], a[3] + a[1]

    def iou(one: Array, other: Array) -> Array:
        width = np.minimum(d_right[one], a_right[other]) - np.maximum(d[0][one], a[0][other])
        height = np.minimum(d_bottom[one], a_bottom[other]) - np.maximum(d[1][one], a[1][other])
        shared = width * height
        union = np.where(crowd[other], d_area[one], d_area[one] + a_area[other] - shared)
        apart = (width <= 0) | (height <= 0) | (union == 0)  # a union of 0 is too small for float64
        shared[apart], union[apart] = 0.0, 1.0
        ratio: Array = shared / union
        return ratio

    return iou
