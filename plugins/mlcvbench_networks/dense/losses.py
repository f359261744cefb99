"""Losses of label maps in which some pixels may be unknown.

Scores are logits (B, C, H, W), labels whole numbers (B, H, W) of any integer type; pixels labelled `ignore` count
nowhere. When those are all, a loss is 0 and its gradient zeros, so that one batch without truth harms no training.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from mlcvbench_networks.arithmetic import check_shapes, in_full, mean_over

UNKNOWN = 255
"""Label of a pixel that nobody knows, as in PASCAL VOC."""


def cross_entropy(
    scores: torch.Tensor, labels: torch.Tensor, *, ignore: int = UNKNOWN, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the mean over known pixels of -log softmax(scores)[label], a scalar.

    weights: (C,), how much a pixel of each class counts; the mean is then the weighted one, as torch has it.
    torch's own mean of no pixels is NaN, for it divides by their number.
    """
    scores, labels = in_full(scores), labels.long()
    _check_maps(scores, labels)
    known = labels != ignore
    weights = None if weights is None else weights.to(scores)
    total = functional.cross_entropy(scores, labels, weight=weights, ignore_index=ignore, reduction="sum")
    if weights is None:
        return total / known.sum().clamp(min=1)
    whole = weights[labels[known]].sum()
    return total / whole.clamp(min=torch.finfo(whole.dtype).tiny)


def dice(scores: torch.Tensor, labels: torch.Tensor, *, ignore: int = UNKNOWN) -> torch.Tensor:
    """Return 1 - the mean over classes of 2 sum(p g) / (sum(p) + sum(g)), in [0, 1], a scalar.

    p is the softmax of the scores, g the one-hot truth, and sums run over all known pixels of the batch (Milletari et
    al., "V-Net", 2016, section 3, with p for p^2 below the line). The mean is over the classes that the batch holds: of
    one without a pixel the ratio is 0 whatever is predicted; what is wrongly given to it is missing from the others.
    """
    scores, labels = in_full(scores), labels.long()
    _check_maps(scores, labels)
    classes = scores.shape[1]
    known = labels != ignore
    shares = scores.softmax(1).movedim(1, -1)[known]  # (pixels, C)
    truth = functional.one_hot(labels[known], classes).to(shares.dtype)
    hit, whole = (shares * truth).sum(0), shares.sum(0) + truth.sum(0)  # (C,)
    held = truth.sum(0) > 0
    return mean_over(1 - 2 * hit / whole.masked_fill(~held, 1.0), held)


def _check_maps(scores: torch.Tensor, labels: torch.Tensor) -> None:
    """Refuse label maps of another size than the scores': ValueError."""
    if scores.ndim != 4:
        raise ValueError(f"wanted scores (B, C, H, W), got {tuple(scores.shape)}.")
    check_shapes(scores=scores[:, 0], labels=labels)
