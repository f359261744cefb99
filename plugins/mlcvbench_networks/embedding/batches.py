"""Batches for metric learning: several identities, several samples of each."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Places = NDArray[np.int64]


def identity_batches(identities: ArrayLike, size: int, samples: int, generator: torch.Generator) -> list[torch.Tensor]:
    """Return the batches of one epoch, each int64 (about `size`,): places of P identities with K = `samples` each.

    FaceNet (Schroff et al. 2015), section 3.2: at random, pairs of one identity would almost never meet. P is
    size / samples, rounded down, and at most the number of identities. In an epoch:

    - the samples of an identity are cut into groups of K at random; a last, smaller group is filled up from the others;
    - an identity of fewer than K samples is one group of them all, none of them twice: a copy of a sample at distance 0
      would be a pair that teaches nothing. One of a single sample serves as a negative;
    - no identity is in a batch twice, and its groups are spread over the epoch. One with more groups than there are
      batches shows only so many of them, others the next time;
    - places that stay empty are filled with groups of other identities, drawn anew.

    So every sample is seen about once. All is drawn at once: the order depends on the state of the generator alone, not
    on what is drawn from it while the batches are used.

    identities: (N,), anything that can be compared.
    ValueError for fewer than 2 identities, which have no negatives, and where `size` has no place for 2 groups.
    """
    _, own = np.unique(np.asarray(identities), return_inverse=True)
    order = np.argsort(own, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(own))[:-1]) if len(own) else []
    if samples < 2 or size < 2 * samples:
        raise ValueError(f"wanted at least 2 identities of at least 2 samples a batch, got {size} by {samples}.")
    if len(members) < 2:
        raise ValueError(f"wanted at least 2 identities, got {len(members)}: one alone has no negatives.")
    width = min(size // samples, len(members))
    groups = [_groups(places, samples, generator) for places in members]
    largest_first = sorted(_shuffled(np.arange(len(members)), generator).tolist(), key=lambda one: -len(members[one]))
    counts = {identity: len(groups[identity]) for identity in largest_first}
    batches = []
    for chosen in _assigned(counts, width, generator):
        parts = [groups[identity].pop() for identity in chosen]
        others = _others(chosen, len(members), width - len(chosen), generator)
        parts += [_shuffled(members[identity], generator)[:samples] for identity in others]
        batches.append(torch.from_numpy(np.concatenate(parts)))
    return batches


def _groups(places: Places, samples: int, generator: torch.Generator) -> list[Places]:
    """Return the samples of one identity, cut into groups of `samples` at random, the last one filled up."""
    places = _shuffled(places, generator)
    if len(places) <= samples:
        return [places]
    missing = -len(places) % samples
    if missing:  # the last group has less than `samples`, so that the first `missing` lie in others
        places = np.concatenate([places, _shuffled(places[: len(places) + missing - samples], generator)[:missing]])
    return np.split(places, len(places) // samples)


def _assigned(counts: dict[int, int], width: int, generator: torch.Generator) -> list[list[int]]:
    """Return which identities are in each batch, `width` of them or fewer, none twice, `counts` of each or fewer.

    One after the other goes into the emptiest batches. So no two ever differ by more than one, everyone finds room, and
    when the largest come first, each batch has its share of those with many samples and of those with one.
    """
    batches: list[list[int]] = [[] for _ in range(-(-sum(counts.values()) // width))]
    heap = [(0, turn, batch) for batch, turn in enumerate(_turns(len(batches), generator))]
    heapq.heapify(heap)
    for identity, count in counts.items():
        taken = [heapq.heappop(heap) for _ in range(min(count, len(batches)))]
        for (load, _, batch), turn in zip(taken, _turns(len(taken), generator), strict=True):
            batches[batch].append(identity)
            heapq.heappush(heap, (load + 1, turn, batch))
    return batches


def _others(chosen: Sequence[int], identities: int, count: int, generator: torch.Generator) -> list[int]:
    """Return `count` identities at random that are not among the chosen."""
    if count == 0:
        return []
    others: list[int] = _shuffled(np.setdiff1d(np.arange(identities), chosen), generator)[:count].tolist()
    return others


def _turns(count: int, generator: torch.Generator) -> list[float]:
    """Return which of equally empty batches comes first: without it, the same ones would always go together."""
    return torch.rand(count, generator=generator).tolist()


def _shuffled(values: Places, generator: torch.Generator) -> Places:
    shuffled: Places = values[torch.randperm(len(values), generator=generator).numpy()]
    return shuffled
