"""The annotated objects of a split, the square windows that show them, and how much boxes overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlcvbench.contract import Array, Split


@dataclass(frozen=True, slots=True)
class Truth:
    """The objects of one class in one image: `boxes` float64 (n, 4) x1 y1 x2 y2, `ignored` bool (n,)."""

    boxes: Array
    ignored: Array


def truths(split: Split, label: int) -> list[Truth]:
    """Return the objects of a class in each image; crowds, difficult objects and boxes below a pixel are ignored."""
    targets = split.targets()
    out = []
    for place, (xywh, labels) in enumerate(zip(targets["xywh"], targets["labels"], strict=True)):
        own = np.asarray(labels) == label
        ignored = (xywh[:, 2:] < 1).any(axis=1)
        for name in ("crowd", "difficult"):
            if name in targets:
                ignored |= np.asarray(targets[name][place], dtype=bool)
        boxes = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
        out.append(Truth(boxes[own], ignored[own]))
    return out


def windows_of(boxes: Array, context: float) -> Array:
    """Return the square windows float64 (n, 4) around the centres of boxes: `context` x the root of a box's area wide.

    >>> windows_of(np.array([[0.0, 0, 4, 16]]), 1.0).tolist()
    [[-2.0, 4.0, 6.0, 12.0]]
    """
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = context * np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1, keepdims=True)) / 2
    windows: Array = np.concatenate([centre - half, centre + half], axis=1)
    return windows


def boxes_in(windows: Array, shape: Array) -> Array:
    """Return the boxes float64 (n, 4) around the centres of windows; `shape`: width and height in widths of the window.

    >>> boxes_in(np.array([[-2.0, 4.0, 6.0, 12.0]]), np.array([0.5, 2.0])).tolist()
    [[0.0, 0.0, 4.0, 16.0]]
    """
    centre, half = (windows[:, :2] + windows[:, 2:]) / 2, (windows[:, 2:3] - windows[:, :1]) * shape / 2
    boxes: Array = np.concatenate([centre - half, centre + half], axis=1)
    return boxes


def median_shape(boxes: Array, context: float) -> Array:
    """Return the median width and height of boxes float64 (n, 4) in widths of their windows, float64 (2,).

    >>> median_shape(np.array([[0.0, 0, 4, 16]]), 1.0).tolist()
    [0.5, 2.0]
    """
    if not len(boxes):
        return np.ones(2)
    windows = windows_of(boxes, context)
    shape: Array = np.median((boxes[:, 2:] - boxes[:, :2]) / (windows[:, 2:3] - windows[:, :1]), axis=0)
    return shape


def overlap(boxes: Array, others: Array) -> Array:
    """Return the IoU float64 (n, m) of boxes (n, 4) and others (m, 4), x1 y1 x2 y2.

    >>> overlap(np.array([[0.0, 0, 10, 10]]), np.array([[5.0, 0, 15, 10]])).round(3).tolist()
    [[0.333]]
    """
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    own, other = ((some[:, 2:] - some[:, :2]).prod(axis=1) for some in (boxes, others))
    iou: Array = shared / np.maximum(own[:, None] + other[None] - shared, 1e-9)
    return iou
