"""Which widths and heights the boxes of a training set have, as a few typical ones."""

from __future__ import annotations

import torch

ROUNDS = 100


def shape_iou(sizes: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Return the IoU (N, M) of boxes of these (width, height) with one centre.

    >>> shape_iou(torch.tensor([[4.0, 2.0]]), torch.tensor([[2.0, 4.0], [4.0, 2.0]]))
    tensor([[0.3333, 1.0000]])
    """
    shared = torch.minimum(sizes[:, None], others).prod(dim=2)
    return shared / (sizes.prod(dim=1)[:, None] + others.prod(dim=1) - shared)


def clusters(sizes: torch.Tensor, count: int) -> torch.Tensor:
    """Return `count` typical (width, height) of boxes (N, 2), N >= count, by area.

    K-means with the distance 1 - IoU (Redmon and Farhadi 2017, section 2), begun from boxes that lie evenly in the
    order of areas, so that nothing is drawn.
    """
    ordered = sizes[torch.argsort(sizes.prod(dim=1), stable=True)]
    centres = ordered[(torch.arange(count) * 2 + 1) * len(ordered) // (2 * count)]
    for _ in range(ROUNDS):
        nearest = shape_iou(ordered, centres).argmax(dim=1)
        moved = torch.stack(
            [ordered[nearest == k].mean(dim=0) if (nearest == k).any() else centres[k] for k in range(count)]
        )
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres[torch.argsort(centres.prod(dim=1), stable=True)]
