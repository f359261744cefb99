"""Closed-set identification: the first image of each person is the gallery, the others are looked up in it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array
from mlcvbench_verification.similarity import pair_similarity

_BLOCK = 256
"""Probes compared with the gallery at once; any number gives the same ranks."""
_SLACK = 1e-6
"""Relative difference that neither float64 rounding nor the final rounding to float32 can make (5e-7 at most)."""


class Roles(NamedTuple):
    """Indices of gallery images, one per person in order of appearance, and of probes: later images of these people."""

    gallery: Array
    probes: Array


def roles_of(identity: Array) -> Roles:
    """Return who is gallery and who is probe.

    >>> roles = roles_of(np.array([5, 7, 5, 7, 5]))
    >>> roles.gallery.tolist(), roles.probes.tolist()
    ([0, 1], [2, 3, 4])
    """
    _, first = np.unique(identity, return_index=True)
    gallery = np.sort(first)
    return Roles(gallery, np.setdiff1d(np.arange(len(identity)), gallery))


def probe_ranks(embedding: Array, identity: Array, probes: Array, gallery: Array, distance: str) -> Array:
    """Return the 0-based rank (P,) of each probe's person: gallery images more similar, or equal and earlier.

    Similarities are those of `pair_similarity`. A matrix product approximates them; only images too close to the
    probe's own are compared exactly, so the ranks do not depend on how probes are blocked.
    """
    places = np.arange(len(gallery))
    owner = np.empty(int(identity.max(initial=0)) + 1, dtype=np.int64)
    owner[identity[gallery]] = places
    ranks = np.empty(len(probes), dtype=np.int64)
    for start in range(0, len(probes), _BLOCK):
        block = probes[start : start + _BLOCK]
        own = owner[identity[block]]
        exact = pair_similarity(embedding, block, gallery[own], distance)
        rough, slack = _rough(embedding[block], embedding[gallery], distance)
        gap = rough - rough[np.arange(len(block)), own][:, None]
        ahead = gap > slack
        rows, columns = np.nonzero(np.abs(gap) <= slack)
        close = pair_similarity(embedding, block[rows], gallery[columns], distance)
        ahead[rows, columns] = (close > exact[rows]) | ((close == exact[rows]) & (columns < own[rows]))
        ranks[start : start + len(block)] = ahead.sum(axis=1)
    return ranks


def _rough(probes: Array, gallery: Array, distance: str) -> tuple[Array, Array]:
    """Return values (P, G) nearly in the order of similarity, and the differences (P, 1) that tell two apart."""
    one, other = probes.astype(np.float64), gallery.astype(np.float64)
    if distance == "l1":
        values = np.stack([-np.abs(other - row).sum(axis=1) for row in one])
        return values, _SLACK * (np.abs(values).max(axis=1, keepdims=True) + 1e-30)
    lengths = np.einsum("ij,ij->i", one, one)[:, None], np.einsum("ij,ij->i", other, other)[None, :]
    product = one @ other.T
    if distance == "cosine":
        return product / np.sqrt(lengths[0] * lengths[1]), np.full((len(one), 1), _SLACK)
    return 2 * product - lengths[0] - lengths[1], _SLACK * (lengths[0] + lengths[1].max(initial=0.0))
