"""The resampling units of a pair list: its people, or clusters of people connected by pairs.

Resampling people draws an impostor pair as often as both its people, w_a * w_b times. With each person in many pairs
that is right: what two pairs share is a person. In a list like LFW's a person is in two pairs, and what varies is the
pair itself, whose own noise the product counts three times (var(w_a w_b) = 3 for weights of mean and variance 1): such
intervals cover 99 % instead of 95 %. But such a list decomposes into clusters of people without pairs between them;
whole clusters are drawn instead, and a pair counts as often as its cluster.

Sources: Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1, 2007 (products of weights are conservative);
Cameron, Gelbach and Miller, "Bootstrap-based improvements for inference with clustered errors", 2008.
"""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array
from mlcvbench_verification.pairs import Pairs

LEAST_CLUSTERS = 30.0
"""Clusters must count like so many of equal size, (sum of pairs)^2 / sum of pairs^2; else people are resampled."""
MOST_PAIRS_A_PERSON = 2
"""With more impostor pairs than this times the people nearly all hang together."""
_BLOCK = 1 << 16
"""Pairs processed at once."""


def pair_clusters(pairs: Pairs, identity: Array) -> Array | None:
    """Return the cluster of each image, int32 (U,); None when the list does not decompose and people are resampled.

    >>> two = np.arange(0, 80, 2, dtype=np.int32)
    >>> found = pair_clusters(Pairs(two, two + 1, np.full(40, -1, np.int16)), np.arange(80))
    >>> found[:4].tolist()
    [0, 0, 1, 1]
    """
    names, person = np.unique(identity, return_inverse=True)
    if _more_impostors(pairs, person, MOST_PAIRS_A_PERSON * len(names)):
        return None
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = person[pairs.first], person[pairs.second]
    links = coo_array((np.ones(len(first), dtype=np.int8), (first, second)), shape=(len(names), len(names)))
    _, cluster = connected_components(links, directed=False)
    sizes = np.bincount(cluster[first]).astype(np.float64)
    if not len(sizes) or sizes.sum() ** 2 < LEAST_CLUSTERS * (sizes**2).sum():
        return None
    found: Array = cluster[person].astype(np.int32)
    return found


def _more_impostors(pairs: Pairs, person: Array, most: int) -> bool:
    """Return whether more than `most` pairs are of two people; for millions, a sample decides."""
    found = 0
    for start in range(0, len(pairs), _BLOCK):
        block = slice(start, start + _BLOCK)
        found += int(np.count_nonzero(person[pairs.first[block]] != person[pairs.second[block]]))
        if found > most:
            return True
    return False
