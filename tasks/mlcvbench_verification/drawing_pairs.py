"""Pairs drawn from images of known people: all genuine ones, and as many impostors that a seed decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np

from mlcvbench.contract import Array, Batch, Split, Targets, fingerprint_columns
from mlcvbench.errors import DataError
from mlcvbench_scenes.hashing import hash32, mix
from mlcvbench_verification.pairs import Pairs, all_pairs
from mlcvbench_verification.protocols import FOLDED, IDENTIFICATION, STRICT, STRICT_RIVALS, parse_protocol

FOLDS = 10
MOST_FOR_ALL_PAIRS = 2_000
"""The most images of which all pairs are compared; with more, pairs are drawn."""
MOST_IN_A_FOLD = 2_000
"""Images of a fold that settings are compared on: two million pairs to draw from."""


def draw_folds(owner: Array, folds: int, seed: int, most: int | None = None, rivals: int = 0) -> Pairs:
    """Return every genuine pair and, fold by fold, as many impostor pairs of images (N,) of the people `owner`.

    Person p, numbered from 0, is in fold p mod `folds` with all images and all pairs, so no person is on both sides of
    a threshold's choice. Each impostor pair of a fold is as likely as any other: those with the smallest hashes are
    taken. A fold of a single person has no impostors, and then no pairs at all. `most`: images of a fold that are
    paired, whole people as they come. `rivals`: impostor pairs of all folds together, at least, where there are so
    many.

    >>> pairs = draw_folds(np.array([0, 0, 1, 1, 2, 2, 3, 3]), 2, seed=0)
    >>> pairs.first.tolist()[:2], pairs.second.tolist()[:2], pairs.fold.tolist()
    ([0, 4], [1, 5], [0, 0, 0, 0, 1, 1, 1, 1])
    """
    columns: list[tuple[Array, Array, Array]] = []
    for fold in range(folds):
        images = _first(np.flatnonzero(owner % folds == fold), owner, most)
        one, other = (images[places] for places in np.triu_indices(len(images), k=1))
        same = owner[one] == owner[other]
        genuine, others = np.flatnonzero(same), np.flatnonzero(~same)
        chance = hash32(len(others), mix("impostors", seed, fold))
        wanted = min(len(genuine), len(others))
        chosen = np.sort(others[np.argsort(chance, kind="stable")[: max(wanted, -(-rivals // folds))]])
        places = np.concatenate([genuine[:wanted], chosen])
        columns.append((one[places], other[places], np.full(len(places), fold)))
    first, second, fold_of = (np.concatenate(column) for column in zip(*columns, strict=True))
    return Pairs(first.astype(np.int32), second.astype(np.int32), fold_of.astype(np.int16))


def _first(images: Array, owner: Array, most: int | None) -> Array:
    """Return the images of as many people, two at least, as have no more than `most` of them."""
    if most is None or len(images) <= most:
        return images
    people, counts = np.unique(owner[images], return_counts=True)
    kept = people[: max(2, int(np.searchsorted(np.cumsum(counts), most, side="right")))]
    return images[np.isin(owner[images], kept)]


class PairedSplit(Split):
    """A split with added pairs of its images; everything else is unchanged."""

    def __init__(self, parent: Split, pairs: Pairs) -> None:
        self.name, self.ids, self.groups = parent.name, parent.ids, parent.groups
        self._parent, self._pairs, self.threaded = parent, pairs, parent.threaded

    @property
    def ragged(self) -> bool:
        return self._parent.ragged

    def read(self, index: Sequence[int] | Array | slice) -> tuple[Batch, Targets]:
        return self._parent.read(index)

    def inputs(self, size: int, indices: Array | None = None) -> Iterator[Batch]:
        return self._parent.inputs(size, indices)

    def targets(self) -> Targets:
        return {**self._parent.targets(), "pairs": cast("Any", self._pairs)}

    def take(self, indices: Sequence[int] | Array, name: str | None = None) -> Split:
        """Return the images at `indices` and the pairs among them."""
        return PairedSplit(self._parent.take(indices, name), self._pairs.within(np.asarray(indices, dtype=np.int64)))

    def fingerprint(self) -> str:
        return fingerprint_columns(np.array([self._parent.fingerprint()]), self._pairs.columns())


def with_pairs(split: Split, protocol: str, seed: int) -> tuple[Split, str]:
    """Return a split with pairs for a protocol, and their description; a split with pairs is returned unchanged.

    Protocols with folds get at most ten, each of two people or more; other lists hold every pair of up to 2,000 images.
    One that ranks by a rate of false accepts gets ten times the impostor pairs that it takes to show it, if there are.
    DataError when there are too few people with several images.
    """
    targets = split.targets()
    if len(cast("Any", targets.get("pairs", ()))):
        return split, ""
    numbers, owner, counts = np.unique(np.asarray(targets["identity"]), return_inverse=True, return_counts=True)
    family = parse_protocol(protocol).family
    folded = family in FOLDED
    needed, known = 4 if folded else 2, int((counts > 1).sum())
    if known < needed:
        raise DataError(
            f"split {split.name!r} has {known} {'person' if known == 1 else 'people'} with two images or more; wanted "
            f"at least {needed} to draw pairs that settings can be compared on: give it more, or leave it out so that "
            "people are held out of train."
        )
    if family == IDENTIFICATION:
        return PairedSplit(split, all_pairs(0)), ""  # no pairs needed: each image is looked up
    if not folded and len(split) <= MOST_FOR_ALL_PAIRS:
        return PairedSplit(split, all_pairs(len(split))), "all pairs"
    rivals = 10 * STRICT_RIVALS if family == STRICT else 0
    pairs = draw_folds(owner, min(FOLDS, len(numbers) // 2), seed, MOST_IN_A_FOLD, rivals)
    return PairedSplit(split, pairs), f"{len(pairs):,} pairs drawn with data.seed={seed}"
