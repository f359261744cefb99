"""A split of face images by name, the person of each, and the pairs over them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from mlcvbench.contract import Array, ArraySplit, Batch, Split, Targets, fingerprint_columns
from mlcvbench.errors import NoInputsError
from mlcvbench.files.folders import file_digests
from mlcvbench.files.images import read_image
from mlcvbench_verification.pairs import Pairs


class Origin(NamedTuple):
    """The whole split that a part was taken from, and the indices of its images there."""

    split: Split
    kept: Array


def origin_of(split: Split) -> Origin:
    """Return the origin of a split: itself, with all its images, when it is whole."""
    found = getattr(split, "origin", None)
    return found if isinstance(found, Origin) else Origin(split, np.arange(len(split)))


def _part_of(split: Split, kept: Array) -> Origin:
    whole, places = origin_of(split)
    return Origin(whole, places[kept])


class FaceSplit(Split):
    """Images that are read on demand; groups are people, the bootstrap unit.

    Targets: `identity` int64 (N,), a number per person; for the whole split also `pairs`, a `Pairs` over its images.
    Without `files` only stored predictions can be scored. `known`: the people of all splits of the data set, so that a
    person has one number in all of them; default: those of this split.
    """

    origin: Origin | None = None

    threaded = True

    def __init__(
        self,
        name: str,
        ids: Sequence[str],
        people: Sequence[str],
        files: Sequence[Path] | None,
        pairs: Pairs,
        *,
        known: Iterable[str] | None = None,
    ) -> None:
        self.name, self.ids, self.groups = name, np.array(ids), np.array(people)
        self._known = np.unique(list(people if known is None else known))
        self._identity = np.searchsorted(self._known, self.groups).astype(np.int64)
        self._files, self._pairs = None if files is None else list(files), pairs
        self._digest: str | None = None

    @property
    def ragged(self) -> bool:
        return True

    def read(self, index: Sequence[int] | Array | slice) -> tuple[Batch, Targets]:
        if self._files is None:
            raise NoInputsError(f"split {self.name!r} has pairs but no images, so no model can run on it.")
        places = np.arange(len(self))[index]
        images = [np.asarray(read_image(self._files[place])) for place in places.tolist()]
        return Batch(self.ids[places], {"image": images}), {"identity": self._identity[places]}

    def targets(self) -> Targets:
        return {"identity": self._identity, "pairs": cast("Any", self._pairs)}

    def take(self, indices: Sequence[int] | Array, name: str | None = None) -> Split:
        """Return the images at `indices` and the pairs among them."""
        kept = np.asarray(indices, dtype=np.int64)
        files = None if self._files is None else [self._files[place] for place in kept.tolist()]
        people = self.groups[kept].tolist()
        pairs, known = self._pairs.within(kept), self._known.tolist()
        part = FaceSplit(name or self.name, self.ids[kept].tolist(), people, files, pairs, known=known)
        part.origin = _part_of(self, kept)
        return part

    def fingerprint(self) -> str:
        """Digest names, people, pairs, and the bytes of the images when there are any."""
        if self._digest is None:
            digest = hashlib.sha256(
                fingerprint_columns(self.ids, self._pairs.columns(), {"people": self.groups}).encode()
            )
            digest.update(b"".join(file_digests(self._files or [])))
            self._digest = digest.hexdigest()
        return self._digest


class FaceArrays(ArraySplit):
    """Face images in memory, uint8 (N, H, W, 3); only a split with `pairs` can be scored by pairs.

    Targets are those of `FaceSplit`; `identity` numbers are kept, so that joined splits never confuse two people.
    """

    origin: Origin | None = None

    def __init__(
        self, name: str, images: Array, identity: Array, ids: Sequence[str], people: Array, pairs: Pairs | None
    ) -> None:
        super().__init__(name, {"image": images}, {"identity": identity}, ids, people)
        self._pairs = pairs

    def targets(self) -> Targets:
        found = super().targets()
        return found if self._pairs is None else {**found, "pairs": cast("Any", self._pairs)}

    def take(self, indices: Sequence[int] | Array, name: str | None = None) -> Split:
        """Return the images at `indices` and the pairs among them."""
        kept = np.asarray(indices, dtype=np.int64)
        pairs = None if self._pairs is None else self._pairs.within(kept)
        images, identity = self._inputs["image"], self._targets["identity"]
        ids, people = self.ids[kept].tolist(), self.groups[kept]
        part = FaceArrays(name or self.name, np.asarray(images)[kept], np.asarray(identity)[kept], ids, people, pairs)
        part.origin = _part_of(self, kept)
        return part

    def fingerprint(self) -> str:
        if self._pairs is None:
            return super().fingerprint()
        parts = super().fingerprint() + fingerprint_columns(self.ids, self._pairs.columns())
        return hashlib.sha256(parts.encode()).hexdigest()
