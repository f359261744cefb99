"""Cascades as named arrays, to be stored, and back, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.errors import RecordError
from mlcvbench_viola_jones.cascade import Cascade
from mlcvbench_viola_jones.features import Features

WANTED = {
    "window": ("int64", 1),
    "stages": ("int64", 1),
    "ends": ("int64", 1),
    "limits": ("float32", 1),
    "boxes": ("int32", 3),
    "weights": ("float32", 2),
    "votes": ("float32", 2),
}
"""The arrays and what they are: of all cascades one after the other, `stages` of each."""


def arrays_of(cascades: Sequence[Cascade]) -> dict[str, Array]:
    """Return the arrays of at least one cascade; all have windows of one size."""
    votes = [np.stack([one.thresholds, one.left, one.right], axis=1) for one in cascades]
    return {
        "window": np.array([cascades[0].width, cascades[0].height], dtype=np.int64),
        "stages": np.array([one.stages for one in cascades], dtype=np.int64),
        "ends": np.concatenate([one.ends for one in cascades]).astype(np.int64),
        "limits": np.concatenate([one.limits for one in cascades]),
        "boxes": np.concatenate([one.features.boxes for one in cascades]),
        "weights": np.concatenate([one.features.weights for one in cascades]),
        "votes": np.concatenate(votes),
    }


def cascades_of(file: str, arrays: Mapping[str, Array], count: int) -> list[Cascade]:
    """Return `count` cascades; RecordError, which names the file, when the arrays do not hold them."""
    window, stages, ends, limits = (arrays[name] for name in ("window", "stages", "ends", "limits"))
    boxes, weights, votes = (arrays[name] for name in ("boxes", "weights", "votes"))
    if len(stages) != count or window.shape != (2,) or (stages < 0).any() or stages.sum() != len(ends):
        raise RecordError(f"{file}: wanted {count} cascades of stages, got {len(stages)} of {len(ends)} stages.")
    parts = np.split(ends, np.cumsum(stages)[:-1])
    sizes = [int(part[-1]) if len(part) else 0 for part in parts]
    rising = all((np.diff(part, prepend=0) >= 0).all() for part in parts)
    shapes = (boxes.shape, weights.shape, votes.shape, limits.shape)
    if not rising or shapes != ((sum(sizes), 3, 4), (sum(sizes), 3), (sum(sizes), 3), ends.shape):
        raise RecordError(f"{file}: its stumps are not those of its {len(ends)} stages.")
    if (boxes < 0).any() or (boxes[..., :2] + boxes[..., 2:] > window).any():
        raise RecordError(f"{file}: a rectangle reaches out of the window of {window[0]} x {window[1]} pixels.")
    cascades = []
    owners, bounds = np.split(np.arange(len(boxes)), np.cumsum(sizes)[:-1]), np.split(limits, np.cumsum(stages)[:-1])
    for part, own, limit in zip(parts, owners, bounds, strict=True):
        thresholds, left, right = votes[own].T
        features = Features(boxes[own], weights[own])
        cascades.append(Cascade(int(window[0]), int(window[1]), features, thresholds, left, right, part, limit))
    return cascades
