"""A split of face images by name, the person of each, and the pairs over them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from mlcvbench.contract import Array, Batch, Split, Targets, fingerprint_columns
from mlcvbench.errors import DataError
from mlcvbench.images import read_image
from mlcvbench_verification.pairs import Pairs


class FaceSplit(Split):
    """Images that are read when they are asked for; groups are people, the bootstrap unit.

    Targets: `identity` int64 (N,), a number a person; for the whole split also `pairs`, a `Pairs` over its images.
    Without `files` only stored predictions can be scored.
    """

    def __init__(
        self, name: str, ids: Sequence[str], people: Sequence[str], files: Sequence[Path] | None, pairs: Pairs
    ) -> None:
        self.name, self.ids, self.groups = name, np.array(ids), np.array(people)
        self._identity = np.unique(self.groups, return_inverse=True)[1].astype(np.int64)
        self._files, self._pairs = None if files is None else list(files), pairs
        self._digest: str | None = None

    @property
    def ragged(self) -> bool:
        return True

    def read(self, index: Sequence[int] | Array | slice) -> tuple[Batch, Targets]:
        if self._files is None:
            raise DataError(f"split {self.name!r} has pairs but no images, so no model can run on it.")
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
        return FaceSplit(name or self.name, self.ids[kept].tolist(), people, files, self._pairs.within(kept))

    def fingerprint(self) -> str:
        """Digest names, people, pairs, and the bytes of the images when there are any."""
        if self._digest is None:
            digest = hashlib.sha256(
                fingerprint_columns(self.ids, self._pairs.columns(), {"people": self.groups}).encode()
            )
            for path in self._files or []:
                digest.update(_file_digest(path))
            self._digest = digest.hexdigest()
        return self._digest


def _file_digest(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
