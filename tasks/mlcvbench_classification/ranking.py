"""One pass over class scores: prediction, rank of the label, confidence and loss of every sample.

Rows are processed in blocks that fit the cache, so memory beyond the scores is constant.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array

BLOCK_SCORES = 1 << 18
"""Scores of a block: its two work arrays, 1.25 MiB together, stay in a core's own cache."""
CONFIDENCE_STEP = 2.0**-30
LOSS_STEP = 2.0**-24
"""Confidences and losses are rounded to these steps (both far below the error of a float32 exponential), which makes
sums of them with whole weights exact: in any order, with any number of threads, the same bits."""


TINY = np.finfo(np.float32).tiny
"""The smallest normal float32, 1.18e-38: smaller probabilities are raised to it, so that a loss is finite (87.34)."""


class Ranking(NamedTuple):
    """Facts of N samples: prediction, rank int64 (N,); confidence in [0, 1] and loss in nats float64 (N,)."""

    prediction: Array
    rank: Array
    confidence: Array
    loss: Array


def label_rank(scores: Array, labels: Array) -> Array:
    """Return the 0-based rank int64 (N,) of each label among its scores (N, C); ties go to the lower class index.

    >>> label_rank(np.array([[0.1, 0.7, 0.2], [0.5, 0.5, 0.5]], np.float32), np.array([2, 1])).tolist()
    [1, 1]
    """
    return rank_labels(scores, labels).rank


def rank_labels(scores: Array, labels: Array) -> Ranking:
    """Return what the metrics need from finite float32 scores (N, C) and labels (N,) in 0..C-1.

    The prediction is the class of the highest score, at ties the lowest index; the rank counts higher scores, and equal
    ones of lower classes; the confidence is the softmax of the prediction; the loss is -log softmax of the label.

    >>> rank_labels(np.array([[0.0, 0.0]], np.float32), np.array([1]))
    Ranking(prediction=array([0]), rank=array([1]), confidence=array([0.5]), loss=array([0.69314718]))
    """
    count, classes = scores.shape
    rows = min(count, max(1, BLOCK_SCORES // max(classes, 1)))
    shifted = np.empty((rows, classes), dtype=np.float32)
    flags = np.zeros((rows, -(-classes // 8) * 8), dtype=bool)  # padded, since flags are counted eight at a time
    prediction, rank = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    total, gap = np.empty(count, dtype=np.float64), np.empty(count, dtype=np.float64)
    top = np.empty(count, dtype=np.float64)
    for start in range(0, count, max(rows, 1)):
        block = slice(start, start + rows)
        part, own = scores[block], labels[block]  # (B, C), (B,)
        at = np.arange(len(part))
        prediction[block] = best = part.argmax(axis=1)
        highest, of_label = part[at, best], part[at, own]
        rank[block] = _count_ahead(part, of_label, own, flags[: len(part)])
        total[block] = _sum_exp(part, highest, shifted[: len(part)])
        top[block], gap[block] = highest, of_label
    confidence = np.rint(1.0 / total / CONFIDENCE_STEP) * CONFIDENCE_STEP
    loss = np.rint((np.log(total) + (top - gap)) / LOSS_STEP) * LOSS_STEP
    return Ranking(prediction, rank, confidence, loss)


def rank_probabilities(probabilities: Array, labels: Array) -> Ranking:
    """Return what the metrics need from float32 probabilities (N, C), whose rows sum to 1, and labels (N,) in 0..C-1.

    Like `rank_labels`, but the confidence is the highest probability itself, and the loss is -log of the label's, which
    counts as at least 1.18e-38.

    >>> ranking = rank_probabilities(np.array([[0.5, 0.5], [1.0, 0.0]], np.float32), np.array([1, 1]))
    >>> ranking.rank.tolist(), ranking.confidence.tolist(), ranking.loss.round(2).tolist()
    ([1, 1], [0.5, 1.0], [0.69, 87.34])
    """
    count, classes = probabilities.shape
    rows = min(count, max(1, BLOCK_SCORES // max(classes, 1)))
    flags = np.zeros((rows, -(-classes // 8) * 8), dtype=bool)
    prediction, rank = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    highest, of_label = np.empty(count, dtype=np.float64), np.empty(count, dtype=np.float64)
    for start in range(0, count, max(rows, 1)):
        block = slice(start, start + rows)
        part, own = probabilities[block], labels[block]
        at = np.arange(len(part))
        prediction[block] = best = part.argmax(axis=1)
        rank[block] = _count_ahead(part, part[at, own], own, flags[: len(part)])
        highest[block], of_label[block] = part[at, best], part[at, own]
    confidence = np.rint(highest / CONFIDENCE_STEP) * CONFIDENCE_STEP
    loss = np.rint(-np.log(np.maximum(of_label, TINY)) / LOSS_STEP) * LOSS_STEP
    return Ranking(prediction, rank, confidence, loss)


def _count_ahead(scores: Array, of_label: Array, labels: Array, flags: Array) -> Array:
    """Count the scores that come before the label's; `flags` (B, 8k) is scratch whose padding stays False."""
    classes = scores.shape[1]
    used, words = flags[:, :classes], flags.view(np.uint64)
    np.equal(scores, of_label[:, None], out=used)
    tied = np.flatnonzero(np.bitwise_count(words).sum(axis=1) > 1)
    earlier = [np.count_nonzero(used[row, : labels[row]]) for row in tied]
    np.greater(scores, of_label[:, None], out=used)
    ahead: Array = np.bitwise_count(words).sum(axis=1).astype(np.int64)
    ahead[tied] += np.array(earlier, dtype=np.int64)
    return ahead


def _sum_exp(scores: Array, highest: Array, shifted: Array) -> Array:
    """Return the sum of exp(score - highest) of each row (B,), at least 1."""
    with np.errstate(over="ignore"):  # a gap beyond float32 becomes -inf, and its exponential 0
        np.subtract(scores, highest[:, None], out=shifted)
    np.exp(shifted, out=shifted)
    sums: Array = np.add.reduce(shifted, axis=1)
    return sums
