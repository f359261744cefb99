"""The annotated objects of a split, and how much boxes overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlcvbench.contract import Array, Split


@dataclass(frozen=True, slots=True)
class Truth:
    """The objects of one image: `boxes` float64 (n, 4) x1 y1 x2 y2, `labels` int64 (n,), `ignored` bool (n,)."""

    boxes: Array
    labels: Array
    ignored: Array


def truths(split: Split) -> list[Truth]:
    """Return the objects of each image; crowds, difficult objects and boxes below one pixel a side are ignored."""
    targets = split.targets()
    out = []
    for place, (xywh, labels) in enumerate(zip(targets["xywh"], targets["labels"], strict=True)):
        ignored = (xywh[:, 2:] < 1).any(axis=1)
        for name in ("crowd", "difficult"):
            if name in targets:
                ignored |= np.asarray(targets[name][place], dtype=bool)
        boxes = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
        out.append(Truth(boxes, np.asarray(labels), ignored))
    return out


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


def best_overlap(boxes: Array, truth: Truth, label: int) -> Array:
    """Return the largest IoU of each box with an object of a class, ignored ones too: float64 (n,), 0 without any."""
    best: Array = overlap(boxes, truth.boxes[truth.labels == label]).max(axis=1, initial=0.0)
    return best
