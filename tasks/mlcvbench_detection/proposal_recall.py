"""How many of the objects the first proposals of a detector cover: recall by their number, whatever the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array, Predictions, Targets
from mlcvbench_detection.geometry.boxes import pairwise_iou, to_xywh
from mlcvbench_detection.geometry.matching import IOU_THRESHOLDS
from mlcvbench_detection.geometry.ragged import ragged
from mlcvbench_detection.truth import truth_of

COUNTS = (10, 50, 100, 300, 1000, 2000)


class ProposalRecall(NamedTuple):
    """Recall with the first n proposals of each image, n being each of `counts`; NaN where there is no object.

    `at_half` float64 (N,): the share of the objects that one of them overlaps by IoU 0.5 or more; `average` (N,): the
    mean of such shares for IoU 0.50 to 0.95 in steps of 0.05. `proposals`: of an image, in the mean.
    """

    counts: tuple[int, ...]
    at_half: Array
    average: Array
    proposals: float


def recall_by_proposals(
    proposals: Sequence[Array], objects: Sequence[Array], counts: Sequence[int] = COUNTS
) -> ProposalRecall:
    """Return the recall of proposals, best first, for the objects of the same images: corners (P, 4) and (M, 4).

    One proposal may cover several objects (Hosang et al. 2016, section 4.1), and classes do not count.

    >>> found = recall_by_proposals([np.array([[0.0, 0, 9, 9], [0, 0, 4, 2]])], [np.array([[0.0, 0, 4, 4]])], (1, 2))
    >>> found.at_half.tolist(), found.average.tolist()
    ([0.0, 1.0], [0.0, 0.1])
    """
    best = [_best(own, wanted, counts) for own, wanted in zip(proposals, objects, strict=True)]
    covered = np.concatenate([np.zeros((len(counts), 0)), *best], axis=1)[:, :, None] >= IOU_THRESHOLDS
    shares = covered.mean(axis=1) if covered.shape[1] else np.full((len(counts), len(IOU_THRESHOLDS)), np.nan)
    mean = float(np.mean([len(own) for own in proposals])) if len(proposals) else 0.0
    return ProposalRecall(tuple(counts), shares[:, 0], shares.mean(axis=1), mean)


def recall_of(predictions: Predictions, targets: Targets, counts: Sequence[int] = COUNTS) -> ProposalRecall | None:
    """Return the recall of the column `proposals` of checked predictions; None where a model gives none.

    Objects that need not be found, crowds and difficult ones, are left out.
    """
    if "proposals" not in predictions:
        return None
    boxes, crowd = ragged(targets, "xywh"), truth_of(targets, "crowd")
    wanted = [own[~np.asarray(spared, dtype=bool)] for own, spared in zip(boxes, crowd, strict=True)]
    corners = [np.concatenate([own[:, :2], own[:, :2] + own[:, 2:]], axis=1) for own in wanted]
    return recall_by_proposals(list(predictions["proposals"]), corners, counts)


def _best(proposals: Array, objects: Array, counts: Sequence[int]) -> Array:
    """Return the largest IoU of each object with the first proposals, float64 (N, M); 0 without any."""
    if not len(proposals) or not len(objects):
        return np.zeros((len(counts), len(objects)))
    iou = pairwise_iou(to_xywh(proposals), to_xywh(objects), np.zeros(len(objects), dtype=bool))
    one, other = (part.ravel() for part in np.indices((len(proposals), len(objects))))
    overlaps = np.maximum.accumulate(iou(one, other).reshape(len(proposals), len(objects)), axis=0)
    best: Array = overlaps[np.minimum(np.array(counts), len(proposals)) - 1]
    return best
