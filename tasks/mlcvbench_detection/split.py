"""Images with annotated objects: annotations in memory, pictures read from disk on demand."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import Array, Batch, Split, Targets
from mlcvbench.contract.batch import take
from mlcvbench.contract.split import SubSplit
from mlcvbench.errors import DataError, NoInputsError
from mlcvbench.files.images import read_image
from mlcvbench.storage.digests import file_hash
from mlcvbench_detection.geometry.ragged import Ragged
from mlcvbench_detection.predictions import RaggedMasks


class DetectionSplit(Split):
    """U images and their annotated objects.

    Targets: `xywh` float64 (n, 4), `labels` int64 (n,) per image (`Ragged`), `size` int64 (U, 2) height and width, 0
    where unknown; COCO adds `area` float64, `crowd` bool, `annotation` int64 (its id) and, when asked for, `masks`
    (`RaggedMasks`); VOC adds `difficult` bool. A federated set adds `ignore` bool, and per image the classes known to
    be absent and those not annotated exhaustively, `negative` and `unchecked` int64.

    `files`: the picture of each image relative to `folder`; without `folder` only stored predictions can be scored.
    The fingerprint covers ids, classes and annotations, so that results scored without pictures join the same board; a
    picture is checked against its annotated size when it is read.
    """

    threaded = True

    def __init__(
        self,
        name: str,
        *,
        ids: Array,
        targets: Mapping[str, Any],
        files: Sequence[str],
        folder: Path | None,
        classes: Sequence[str],
    ) -> None:
        self.name, self.ids, self.groups = name, ids, ids
        self._targets, self.files, self._folder, self._classes = dict(targets), tuple(files), folder, tuple(classes)
        self._digest: str | None = None

    @property
    def ragged(self) -> bool:
        return True

    def read(self, index: Sequence[int] | Array | slice) -> tuple[Batch, Targets]:
        places = np.arange(len(self))[index if isinstance(index, slice) else np.asarray(index, dtype=np.int64)]
        images = [self.picture(int(place)) for place in places]
        meta = {"size": self._targets["size"][places]}
        return Batch(self.ids[places], {"image": images}, meta), self._taken(places)

    def targets(self) -> Targets:
        return self._targets

    @property
    def has_pictures(self) -> bool:
        """True when a folder of images was given."""
        return self._folder is not None

    def picture(self, place: int) -> Array:
        """Return one image as uint8 (H, W, 3); DataError when it is missing or of another size than annotated."""
        if self._folder is None:
            raise NoInputsError(f"split {self.name!r} has annotations only: its folder of images is missing.")
        path = self._folder / self.files[place]
        image = read_image(path)
        wanted = self._targets["size"][place].tolist()
        if wanted[0] and list(image.shape[:2]) != wanted:
            raise DataError(
                f"{path}: has {image.shape[0]} x {image.shape[1]} pixels (height x width), but its annotation says "
                f"{wanted[0]} x {wanted[1]}."
            )
        return image

    def fingerprint(self) -> str:
        if self._digest is None:
            digest = hashlib.sha256("\n".join([*map(str, self.ids), "", *self._classes]).encode())
            for name in sorted(self._targets):
                for array in _flat(self._targets[name]):
                    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
                    digest.update(f"\n{name}:{little.dtype.str}:{little.shape}\n".encode())
                    digest.update(little.tobytes())
            self._digest = digest.hexdigest()
        return self._digest

    def content(self) -> str:
        """Return the digest of the pictures; a missing one is reported by the run that reads it."""
        if self._folder is None:
            return ""
        return file_hash(
            [path for name in self.files if name and (path := self._folder / name).is_file()], self._folder
        )

    def _taken(self, places: Array) -> Targets:
        return {name: take(column, places) for name, column in self._targets.items()}


def whole_of(split: Split) -> tuple[Split, Array | None]:
    """Return the split that another was cut from, and the indices of the remaining samples; None for all."""
    places = None
    while isinstance(split, SubSplit):
        places = split.indices if places is None else split.indices[places]
        split = split.parent
    return split, places


def has_pictures(split: Split) -> bool:
    """Return whether the images of a split, or of what it was cut from, can be read."""
    return bool(getattr(whole_of(split)[0], "has_pictures", True))


def files_of(split: Split) -> Sequence[str]:
    """Return the file name of each image, "" where unknown; empty for data without files."""
    return split.files if isinstance(split, DetectionSplit) else ()


def _flat(column: Any) -> list[Array]:
    if isinstance(column, RaggedMasks):
        return [column.values.runs, column.values.starts, column.values.size, column.starts]
    return [column.values, column.starts] if isinstance(column, Ragged) else [column]


def relative_file(name: Any) -> bool:
    """Return whether a file name from outside stays inside its folder."""
    if not isinstance(name, str) or not name or "\0" in name or "\\" in name or ":" in name or name.startswith("/"):
        return False  # a colon or a backslash leads elsewhere on Windows
    return ".." not in name.split("/")
