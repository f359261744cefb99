"""A split of image files and label files: nothing is decoded before it is asked for, and nothing is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from mlcvbench.columns import file_column
from mlcvbench.contract import Array, Batch, Split, Targets
from mlcvbench.errors import DataError
from mlcvbench.file_sets import file_digest
from mlcvbench.images import read_image
from mlcvbench_segmentation.coding import Coding


class LabelSplit(Split):
    """Images and label maps by name. Without images (`images` is None) only stored predictions can be scored."""

    def __init__(
        self, name: str, ids: Sequence[str], labels: Sequence[Path], images: Sequence[Path] | None, coding: Coding
    ) -> None:
        self.name, self.ids = name, np.array(ids)
        self.groups = self.ids
        self._label_files, self._images, self._coding = list(labels), images, coding
        self._labels = file_column(self._label_files, _decoder(coding))
        self._digest: str | None = None

    @property
    def ragged(self) -> bool:
        return True

    def read(self, index: Sequence[int] | Array | slice) -> tuple[Batch, Targets]:
        if self._images is None:
            raise DataError(f"split {self.name!r} has label files but no images, so no model can run on it.")
        places = np.arange(len(self))[index].tolist()
        images = [read_image(self._images[place]) for place in places]
        labels = [self._labels[place] for place in places]
        for place, image, label in zip(places, images, labels, strict=True):
            if image.shape[:2] != label.shape:
                raise DataError(
                    f"{self._label_files[place]}: has {label.shape[0]} x {label.shape[1]} pixels, "
                    f"but its image has {image.shape[0]} x {image.shape[1]}."
                )
        return Batch(self.ids[index], {"image": images}), {"label_map": labels}

    def targets(self) -> Targets:
        return {"label_map": cast("Any", self._labels)}

    def fingerprint(self) -> str:
        """Digest ids, the meaning of label values, and the bytes of the files; images count only when there are any."""
        if self._digest is None:
            digest = hashlib.sha256("\n".join(self.ids.tolist()).encode())
            digest.update(self._coding.table.astype("<i4").tobytes())
            for path in [*self._label_files, *(self._images or [])]:
                digest.update(file_digest(path))
            self._digest = digest.hexdigest()
        return self._digest


def _decoder(coding: Coding) -> Callable[[Path], Array]:
    return lambda path: coding.decode(path, ignored=True)
