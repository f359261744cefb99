"""Cascades of random stumps, and pictures to run them on."""

from __future__ import annotations

import cv2
import numpy as np

from mlcvbench_viola_jones.cascade import empty_cascade
from mlcvbench_viola_jones.features import every_feature


def random_cascade(*counts, seed=0, limit=-0.3):
    """Return a cascade of random features and thresholds with so many stumps a stage."""
    rng = np.random.default_rng(seed)
    every = every_feature(24, 24)
    cascade = empty_cascade(24, 24)
    for count in counts:
        votes = rng.uniform(0.2, 1, count)
        columns = np.stack([rng.normal(0, 0.05, count), -votes, votes], axis=1)
        features = every.take(rng.choice(len(every), count, replace=False))
        cascade = cascade.with_stage(features, columns.astype(np.float32), limit)
    return cascade


def clouds(height, width, seed=0):
    """Return a smooth random picture with flat parts."""
    rng = np.random.default_rng(seed)
    image = cv2.GaussianBlur(rng.integers(0, 256, (height, width)).astype(np.uint8), (0, 0), 2)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    image[: height // 4, : width // 3] = 90
    return image
