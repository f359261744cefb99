"""Losses of a batch by name, as means over its images; `fit.loss` chooses. Imports torch only inside functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from mlcvbench_training.settings import Settings

    Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def loss_of(settings: Settings, reduction: str = "mean") -> Loss:
    """Return the loss that maps scores s (B, C) and labels y int64 (B,) to a scalar: their `mean`, or their `sum`.

    cross_entropy: -log softmax(s)[y], with `label_smoothing`; s are logits, so no softmax stands before it.
    squared: |s - onehot(y)|^2, summed over the classes (not their mean, which differs by the factor C).
    norm: |s - onehot(y)|, its root, as in equation 7 of the course notes, which call it an RMSE; the root of a mean
    over samples it is not. Its gradient has length 1 however small the error is, and is taken as 0 where that is nil.
    """
    from torch.nn import functional

    smoothing = settings.label_smoothing

    def cross_entropy(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(scores, labels, label_smoothing=smoothing, reduction=reduction)

    def squared(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return _reduced(_error(scores, labels).square().sum(1), reduction)

    def norm(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        import torch

        return _reduced(torch.linalg.vector_norm(_error(scores, labels), dim=1), reduction)

    return {"cross_entropy": cross_entropy, "squared": squared, "norm": norm}[settings.loss]


def _error(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    from torch.nn import functional

    return scores - functional.one_hot(labels, scores.shape[1]).to(scores.dtype)


def _reduced(losses: torch.Tensor, reduction: str) -> torch.Tensor:
    return losses.sum() if reduction == "sum" else losses.mean()
