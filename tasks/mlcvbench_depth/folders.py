"""Folders of stereo pairs or images with measured truth, for one split or below `train/`, `val/`, `test/`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from mlcvbench.columns import LazyColumn, file_column
from mlcvbench.contract import Array, Batch, InputSpec, LoadedData, Problem, Split, Targets
from mlcvbench.errors import DataError
from mlcvbench.images import read_image
from mlcvbench_depth.formats import SUFFIXES, as_truth, read_map

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".ppm", ".bmp", ".tif", ".tiff", ".webp")
SPLITS = ("train", "val", "test")


def load_stereo_folder(params: Mapping[str, Any], data_seed: int) -> LoadedData:  # noqa: ARG001 - a loader's signature
    """Return the splits of a folder with `left/`, `right/` and `disparity/` (px; 0 or inf = unknown)."""
    extra = {"field": "disparity", "disparities": params.get("disparities", 64)}
    return _load("stereo-folder", params, {"left": "left", "right": "right"}, extra)


def load_depth_folder(params: Mapping[str, Any], data_seed: int) -> LoadedData:  # noqa: ARG001 - a loader's signature
    """Return the splits of a folder with `images/` and `depth/` (metres; 0 or inf = unknown)."""
    extra = {"field": "depth", "scale": params.get("scale", 256.0)}
    return _load("depth-folder", params, {"image": "images"}, extra)


def files_by_id(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Return files below `folder` by name without ending, such as `drive_1/000001`, sorted; DataError on doubles."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in suffixes or not path.is_file():
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise DataError(f"{path}: {found[name].name} has the same name; wanted one file for each sample.")
        found[name] = path
    return found


class MapSplit(Split):
    """Images and measured maps by name, read when they are asked for.

    `images`: input kind -> files in the order of `ids`; empty when only stored predictions are scored.
    """

    def __init__(
        self,
        name: str,
        ids: Sequence[str],
        images: Mapping[str, Sequence[Path]],
        truth: Sequence[Path],
        extra: Mapping[str, Any],
    ) -> None:
        self.name, self.ids = name, np.array(ids)
        self.groups = self.ids
        self._images, self._truth_files, self._extra = dict(images), list(truth), dict(extra)
        self._field = str(extra["field"])
        self._truth: LazyColumn[Array] = file_column(self._truth_files, self._read_truth)
        self._digest: str | None = None

    @property
    def ragged(self) -> bool:
        return True

    def read(self, index: Sequence[int] | Array | slice) -> tuple[Batch, Targets]:
        if not self._images:
            raise DataError(f"split {self.name!r} has measured maps but no images, so no model can run on it.")
        places = np.arange(len(self))[index].tolist()
        truth = [self._truth[place] for place in places]
        inputs: dict[str, list[Array]] = {}
        for kind, files in self._images.items():
            inputs[kind] = [np.asarray(read_image(files[place])) for place in places]
            for place, image, known in zip(places, inputs[kind], truth, strict=True):
                if image.shape[:2] != known.shape:
                    wanted, got = (" x ".join(map(str, one.shape[:2])) for one in (image, known))
                    raise DataError(f"{self._truth_files[place]}: has {got} pixels, but its {kind} image has {wanted}.")
        return Batch(self.ids[index], inputs), {self._field: truth}

    def targets(self) -> Targets:
        return {self._field: cast("Any", self._truth)}

    def fingerprint(self) -> str:
        """Digest ids, field, scale and the bytes of the files; images count only when there are any."""
        if self._digest is None:
            scale = float(self._extra.get("scale", 256.0))
            digest = hashlib.sha256("\n".join([*self.ids.tolist(), self._field, scale.hex()]).encode())
            for path in [*self._truth_files, *(path for kind in sorted(self._images) for path in self._images[kind])]:
                digest.update(_file_digest(path))
            self._digest = digest.hexdigest()
        return self._digest

    def _read_truth(self, path: Path) -> Array:
        return as_truth(read_map(path, self._field, float(self._extra.get("scale", 256.0))), path)


def _load(name: str, params: Mapping[str, Any], kinds: Mapping[str, str], extra: dict[str, Any]) -> LoadedData:
    root = Path(params["root"])
    if not root.is_dir():
        raise DataError(f"data.root={root}: no such folder.")
    extra = {**extra, "scale": float(params.get("scale", 256.0))}
    if (root / "test").is_dir():
        splits: dict[str, Split] = {
            split: _read_split(root / split, split, kinds, extra) for split in SPLITS if (root / split).is_dir()
        }
    else:
        splits = {"test": _read_split(root, "test", kinds, extra)}
    inputs = {kind: InputSpec((None, None, 3)) for kind in kinds}
    return LoadedData(name, "1", Problem("depth", (), inputs, extra), splits)


def _read_split(folder: Path, name: str, kinds: Mapping[str, str], extra: Mapping[str, Any]) -> MapSplit:
    field = str(extra["field"])
    truth = files_by_id(folder / field, SUFFIXES)
    if not truth:
        raise DataError(f"{folder / field}: wanted measured maps ({', '.join(SUFFIXES)}), found none.")
    images: dict[str, list[Path]] = {}
    for kind, place in kinds.items():
        if not (folder / place).is_dir():
            if images:
                raise DataError(f"{folder / place}: no such folder; wanted the {kind} images.")
            continue
        files = files_by_id(folder / place, IMAGE_SUFFIXES)
        for one, other, missing in ((truth, files, f"{kind} image"), (files, truth, f"{field} map")):
            lonely = next((key for key in one if key not in other), None)
            if lonely is not None:
                raise DataError(f"{one[lonely]}: has no {missing} of that name in {folder}.")
        images[kind] = [files[key] for key in truth]
    return MapSplit(name, list(truth), images, list(truth.values()), extra)


def _file_digest(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
