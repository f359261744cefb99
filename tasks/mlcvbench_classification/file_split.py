"""A split of image files that stay on disk and are read on demand."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlcvbench.contract import Array, Batch, Column, Split, Targets
from mlcvbench.errors import DataError
from mlcvbench.files.folders import file_digests
from mlcvbench.files.images import Color, image_size, read_image
from mlcvbench.files.remembered import remembered

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm"})

_SIZE = struct.Struct("<II")


class Decoding(NamedTuple):
    """How files become arrays. `leniently`: unreadable files will be left out later and raise no error here."""

    color: Color
    size: tuple[int, int] | None
    leniently: bool = False

    def read(self, path: Path) -> Array:
        """Return an image as uint8 (H, W, 3) or (H, W)."""
        return read_image(path, self.color, self.size)


class FileSplit(Split):
    """Images that stay on disk: only the requested samples are decoded."""

    threaded = True

    def __init__(self, name: str, files: Sequence[Path], ids: Sequence[str], labels: Array, decoding: Decoding) -> None:
        self.name, self._files, self._labels, self._decoding = name, tuple(files), labels, decoding
        self.ids = np.array(ids, dtype=np.str_)
        self.groups = self.ids
        self._digest: str | None = None
        self._digests: list[bytes] = []

    @property
    def ragged(self) -> bool:
        return self._ragged

    @cached_property
    def _ragged(self) -> bool:
        return self._decoding.size is None and len(_sizes(self._files, self._decoding.leniently)) > 1

    def read(self, index: Sequence[int] | Array | slice) -> tuple[Batch, Targets]:
        places = np.arange(len(self))[index if isinstance(index, slice) else np.asarray(index, dtype=np.int64)]
        images = [self._decoding.read(self._files[place]) for place in places]
        if not self._ragged and len({image.shape for image in images}) > 1:
            raise DataError(f"split {self.name!r}: images of one size when they were listed now differ in size.")
        column: Column = images if self._ragged or not images else np.stack(images)
        return Batch(self.ids[places], {"image": column}), {"label": self._labels[places]}

    def targets(self) -> Targets:
        return {"label": self._labels}

    def fingerprint(self) -> str:
        """Return the digest of ids, labels, the bytes of every file and how they are decoded."""
        if self._digest is None:
            digest = hashlib.sha256(f"{self._decoding.color};{self._decoding.size}\n".encode())
            self._digests = file_digests(self._files)
            for name, label, content in zip(self.ids, self._labels, self._digests, strict=True):
                digest.update(f"{name}\n{label}\n{content.hex()}\n".encode())
            self._digest = digest.hexdigest()
        return self._digest

    def file_digests(self) -> Sequence[bytes]:
        return self._digests


def _sizes(files: Sequence[Path], leniently: bool) -> set[tuple[int, int]]:
    """Return the distinct image sizes, (height, width), from the cache where known; DataError names an unreadable
    file.
    """

    def look(path: Path) -> bytes:
        try:
            return _SIZE.pack(*image_size(path))
        except DataError:
            if not leniently:
                raise
            return b""

    found = remembered("size" if not leniently else "size, if any", files, look)
    return {_SIZE.unpack(size) for size in set(found) if size}
