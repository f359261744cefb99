"""A split of image files and label files, decoded on demand and not kept in memory."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from mlcvbench.contract import Array, Batch, Split, Targets
from mlcvbench.errors import DataError, NoInputsError
from mlcvbench.files.folders import file_digests
from mlcvbench.files.images import read_image
from mlcvbench.files.lazy_columns import file_column
from mlcvbench.files.rasters import read_pixels
from mlcvbench_segmentation.coding import Coding, Palette


class LabelSplit(Split):
    """Images and label maps by name. Without images (`images` is None) only stored predictions can be scored."""

    threaded = True

    def __init__(
        self, name: str, ids: Sequence[str], labels: Sequence[Path], images: Sequence[Path] | None, coding: Coding
    ) -> None:
        self.name, self.ids = name, np.array(ids)
        self.groups = self.ids
        self._label_files, self._images, self._coding = list(labels), images, coding
        self._labels = file_column(self._label_files, self._decode)
        self._digest: str | None = None

    @cached_property
    def palette(self) -> list[list[int]] | None:
        """The colours (r, g, b) of the values in the first label file, None when it has no palette.

        An unreadable file has none; its fault is reported when its labels are read.
        """
        with contextlib.suppress(DataError):
            found = read_pixels(self._label_files[0]).palette
            return None if found is None else found.tolist()
        return None

    @cached_property
    def _checked_coding(self) -> Coding:
        """The coding; without a label map, all files must have the same palette."""
        if self._coding.explicit or self.palette is None:
            return self._coding
        advice = "say what the values (value,class) or the colours (r,g,b,class) mean with data.label_map=FILE"
        return replace(self._coding, palette=Palette(self.palette, str(self._label_files[0]), advice))

    def _decode(self, path: Path) -> Array:
        return self._checked_coding.decode(path, ignored=True)

    @property
    def ragged(self) -> bool:
        return True

    def read(self, index: Sequence[int] | Array | slice) -> tuple[Batch, Targets]:
        if self._images is None:
            raise NoInputsError(f"split {self.name!r} has label files but no images, so no model can run on it.")
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
            digest.update(self._coding.digest())
            digest.update(b"".join(file_digests([*self._label_files, *(self._images or [])])))
            self._digest = digest.hexdigest()
        return self._digest
