"""From the labels and distances of the k nearest to probabilities."""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array


def inverse_distances(distances: Array) -> Array:
    """Return the weight 1 / distance of each neighbour, float64 (B, k), scaled to sum to k in each row.

    Where neighbours are at distance zero only they vote, each as much as the other: scikit-learn's weights="distance".

    >>> inverse_distances(np.array([[1.0, 3.0], [0.0, 2.0]]))
    array([[1.5, 0.5],
           [2. , 0. ]])
    """
    same = distances == 0
    met = same.any(axis=1, keepdims=True)
    weights = np.where(met, same, 1 / np.where(met, 1.0, distances))
    return np.asarray(weights * (distances.shape[1] / weights.sum(axis=1, keepdims=True)))


def vote_shares(labels: Array, weights: Array | None, classes: int) -> Array:
    """Return (v_c + 1/C) / (k + 1), float32 (B, C), from the labels int (B, k) of the k nearest.

    v_c is the number of votes for class c, or the sum of their `weights` (B, k), which make k in each row. One further
    vote is spread evenly over the C classes, so that no class is impossible: these are the shares of k + 1 votes.

    >>> vote_shares(np.array([[1, 1, 0]]), None, classes=2)
    array([[0.375, 0.625]], dtype=float32)
    """
    count, k = labels.shape
    cells = np.arange(count)[:, None] * classes + labels
    worth = None if weights is None else weights.ravel()
    votes = np.bincount(cells.ravel(), worth, minlength=count * classes).reshape(count, classes)
    return np.asarray(((votes + 1 / classes) / (k + 1)).astype(np.float32))
