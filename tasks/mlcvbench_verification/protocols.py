"""Protocol ids of verification: which pairs, and how embeddings are compared."""

from __future__ import annotations

from typing import NamedTuple

from mlcvbench.errors import DataError, UnknownNameError
from mlcvbench_verification.similarity import DISTANCES

DECLARED, GIVEN = "declared", "given"
LFW, TEN_FOLDS, PAIRS, IDENTIFICATION = "lfw/10fold", "pairs/10fold", "pairs", "identification/closed-set"
STRICT = "pairs/10fold/tar1e-3"
FOLDED = (LFW, TEN_FOLDS, STRICT)
"""Families whose pairs lie in folds; they are scored alike, `lfw/10fold` is for LFW's own list."""
STRICT_METRIC, STRICT_RIVALS = "tar_at_far_1e-3", 1_000
"""What `STRICT` ranks by, where `TEN_FOLDS` does by the accuracy, and the impostor pairs without which it is undefined.
"""
PROTOCOLS = (
    *(f"{family}/{by}@1" for family in (*FOLDED, PAIRS) for by in (*DISTANCES, DECLARED, GIVEN)),
    *(f"{IDENTIFICATION}/{by}@1" for by in (*DISTANCES, DECLARED)),
)


class Rules(NamedTuple):
    """The rules of an id: the family, and a distance, `declared` (the method's own) or `given` (values of pairs)."""

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


def given_of(protocol: str) -> str:
    """Return the id under which values of pairs are scored where `protocol` was asked for: of its family.

    DataError for identification, which looks embeddings up.

    >>> given_of("pairs/10fold/declared@1")
    'pairs/10fold/given@1'
    """
    family = parse_protocol(protocol).family
    if family == IDENTIFICATION:
        raise DataError(f"protocol {protocol!r} looks people up by their embeddings (.npz); got values of pairs.")
    return f"{family}/{GIVEN}@1"


def about(protocol: str) -> str:
    """Describe what the protocols of a family compare, and how they average."""
    family = parse_protocol(protocol).family
    if family == IDENTIFICATION:
        return (
            f"The first image of each person is the gallery, every later one is looked up in it; the share of those "
            f"looked up counts. {_BY}."
        )
    folds = (
        "accuracy_10fold is the mean over folds, each with the threshold that is best on the others; the ROC metrics "
        "pool the pairs of all folds. "
    )
    if family == STRICT:
        folds += f"Methods are ranked by {STRICT_METRIC}, which parts those whose accuracies are all high. "
    return (
        f"Pairs of images, each pair counting once. {folds if family in FOLDED else ''}{_BY}; given: values of pairs."
    )


_BY = "cosine, l2, l1: embeddings so compared; declared: by the distance that each method declares"
