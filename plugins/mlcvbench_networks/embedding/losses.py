"""Losses that hold distances between embeddings apart.

Embeddings are (B, D), of length 1 where a margin shall mean the same in every run; identities are whole numbers (B,).
"""

from __future__ import annotations

import torch

from mlcvbench_networks.arithmetic import check_shapes, in_full, mean_over


def distances(embeddings: torch.Tensor) -> torch.Tensor:
    """Return the Euclidean distances (B, B) of all pairs of embeddings (B, D).

    They are taken from differences, not from scalar products, which leave no digits of a small distance. The gradient
    of a distance of 0 is 0; that of a root would be NaN.
    """
    embeddings = in_full(embeddings)
    return torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist")


def pair_losses(distance: torch.Tensor, same: torch.Tensor, margin: float | None) -> torch.Tensor:
    """Return y d^2 + (1 - y) max(0, m - d)^2 for each pair, d its distance, y whether it is `same` (bool).

    Hadsell, Chopra and LeCun, "Dimensionality Reduction by Learning an Invariant Mapping" (2006), equation 4 without
    its halves. The course notes print max(0, (m - d)^2), in which the maximum does nothing: it pulls negatives beyond
    the margin back. A margin of None is the form without one, y d^2 - (1 - y) d^2: it has no lower bound, falls for
    ever as negatives fly apart, and is here to show just that.
    """
    check_shapes(distance=distance, same=same)
    apart = -distance.square() if margin is None else (margin - distance).clamp(min=0).square()
    return distance.square().where(same, apart)


def contrastive(embeddings: torch.Tensor, identities: torch.Tensor, margin: float | None = 1.0) -> torch.Tensor:
    """Return the contrastive loss of all pairs of a batch, a scalar: see `pair_losses`.

    It is half the mean over pairs of one identity plus half the mean over the others, as though both were drawn equally
    often; of all pairs of 16 x 4 samples, one in 21 has one identity. Of a kind without a pair the mean is 0.
    """
    same = _same(embeddings, identities)
    first, second = torch.triu_indices(len(same), len(same), offset=1, device=same.device)
    same = same[first, second]
    losses = pair_losses(distances(embeddings)[first, second], same, margin)
    return (mean_over(losses, same) + mean_over(losses, ~same)) / 2


def triplet(anchor: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor, margin: float = 0.2) -> torch.Tensor:
    """Return the mean of max(0, |a - p|^2 - |a - n|^2 + margin) over those of T triplets (T, D) where it is not 0.

    Schroff, Kalenichenko and Philbin, "FaceNet" (2015), section 3.1, of which the sum is made a mean over the active
    triplets: over all of them it would fade as training goes on. No active one is 0 with a gradient of zeros.
    """
    check_shapes(anchor=anchor, positive=positive, negative=negative)
    anchor, positive, negative = in_full(anchor), in_full(positive), in_full(negative)
    losses = (anchor - positive).square().sum(1) - (anchor - negative).square().sum(1) + margin
    return mean_over(losses, losses > 0)


def semi_hard(embeddings: torch.Tensor, identities: torch.Tensor, margin: float = 0.2) -> torch.Tensor:
    """Return the semi-hard triplets of a batch, int64 (T, 3): places of anchor, positive and negative.

    All pairs of one identity are tried both ways round, each with every negative that is farther than the positive but
    by less than the margin: |a - p|^2 < |a - n|^2 < |a - p|^2 + margin (FaceNet, section 3.2). Nearer ones, the hard
    negatives, pull all embeddings into one point early in training; a pair without a semi-hard negative has no triplet.
    """
    anchor, positive, _, chosen = _gaps(embeddings.detach(), identities, margin)
    pair, negative = chosen.nonzero(as_tuple=True)
    return torch.stack([anchor[pair], positive[pair], negative], 1)


def triplet_semi_hard(embeddings: torch.Tensor, identities: torch.Tensor, margin: float = 0.2) -> torch.Tensor:
    """Return the mean of `triplet` over the `semi_hard` triplets of a batch, a scalar; 0 where there is none.

    Equal embeddings have none, so that the loss of a network that has collapsed is 0: watch the validation score.
    """
    _, _, gap, chosen = _gaps(embeddings, identities, margin)
    return mean_over(margin - gap, chosen)


def _gaps(
    embeddings: torch.Tensor, identities: torch.Tensor, margin: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a and p (pairs,) of all pairs, |a - n|^2 - |a - p|^2 for every n (pairs, B), and which are semi-hard."""
    squared, same = distances(embeddings).square(), _same(embeddings, identities)
    alone = torch.eye(len(same), dtype=torch.bool, device=same.device)
    anchor, positive = (same & ~alone).nonzero(as_tuple=True)
    gap = squared[anchor] - squared[anchor, positive][:, None]
    return anchor, positive, gap, ~same[anchor] & (gap > 0) & (gap < margin)


def _same(embeddings: torch.Tensor, identities: torch.Tensor) -> torch.Tensor:
    """Return bool (B, B), whether two samples are of one identity. ValueError unless there is one identity a sample."""
    if identities.shape != embeddings.shape[:1]:
        got = f"{tuple(identities.shape)} for embeddings {tuple(embeddings.shape)}"
        raise ValueError(f"wanted an identity for each embedding, got {got}.")
    return identities[:, None] == identities[None, :]
