"""Protocol ids of verification: which pairs, and how embeddings are compared."""

from __future__ import annotations

from typing import NamedTuple

from mlcvbench.errors import UnknownNameError
from mlcvbench_verification.similarity import DISTANCES

DECLARED, GIVEN = "declared", "given"
LFW, TEN_FOLDS, PAIRS, IDENTIFICATION = "lfw/10fold", "pairs/10fold", "pairs", "identification/closed-set"
FOLDED = (LFW, TEN_FOLDS)
"""Families whose pairs lie in folds; they are scored alike, `lfw/10fold` is for LFW's own list."""
PROTOCOLS = (
    *(f"{family}/{by}@1" for family in (*FOLDED, PAIRS) for by in (*DISTANCES, DECLARED, GIVEN)),
    *(f"{IDENTIFICATION}/{by}@1" for by in (*DISTANCES, DECLARED)),
)


class Rules(NamedTuple):
    """What an id says: the family, and a distance, `declared` (the method's own) or `given` (values of pairs)."""

    family: str
    by: str


def parse_protocol(protocol: str) -> Rules:
    """Return the rules of a protocol id.

    >>> parse_protocol("lfw/10fold/cosine@1")
    Rules(family='lfw/10fold', by='cosine')
    """
    if protocol not in PROTOCOLS:
        raise UnknownNameError("verification protocol", protocol, PROTOCOLS)
    family, _, by = protocol.removesuffix("@1").rpartition("/")
    return Rules(family, by)
