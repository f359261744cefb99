"""Folders of stereo pairs or images with measured truth, for one split or below `train/`, `val/`, `test/`.

What only the left camera sees is marked by `occlusion/` (8-bit images, not 0 = occluded), or as KITTI does it, by a
second folder of truth in which those pixels are unknown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from mlcvbench.contract import Array, Batch, InputSpec, LoadedData, Problem, Split, Targets
from mlcvbench.errors import DataError, NoInputsError
from mlcvbench.files.folders import file_digests, files_by_id
from mlcvbench.files.images import read_image
from mlcvbench.files.lazy_columns import LazyColumn, file_column
from mlcvbench.files.missing import no_files
from mlcvbench.files.rasters import read_raster
from mlcvbench_depth.formats import KITTI_SCALE, SUFFIXES, as_truth, read_map
from mlcvbench_depth.scoring import OCCLUDED

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".ppm", ".bmp", ".tif", ".tiff", ".webp")
SPLITS = ("train", "val", "test")
MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp")
Files: TypeAlias = Mapping[str, Path]
Folders: TypeAlias = Mapping[str, tuple[str, ...]]
LEFT, RIGHT = ("left", "image_2", "colored_0"), ("right", "image_3", "colored_1")
TRUTH = {"disparity": ("disparity", "disp_occ_0", "disp_occ"), "depth": ("depth",)}
SEEN = ("disp_noc_0", "disp_noc")
"""Names of a folder; those after the first are KITTI's of 2015 and of 2012. `SEEN`: truth without occluded pixels."""
SECOND_FRAME = "_11"
"""KITTI's pictures of the next moment, which have no ground truth."""


def load_stereo_folder(
    params: Mapping[str, Any],
    data_seed: int,  # noqa: ARG001 - a loader's signature
    splits: Collection[str] = SPLITS,
) -> LoadedData:
    """Return the splits of a folder with `left/`, `right/` and `disparity/` (px; 0 or inf = unknown).

    KITTI's own folders of a year's `training/` do as well: `image_2`, `image_3`, `disp_occ_0`, `disp_noc_0`.
    """
    extra = {"field": "disparity", "disparities": params.get("disparities", 64)}
    return _load("stereo-folder", params, {"left": LEFT, "right": RIGHT}, extra, splits)


def load_depth_folder(
    params: Mapping[str, Any],
    data_seed: int,  # noqa: ARG001 - a loader's signature
    splits: Collection[str] = SPLITS,
) -> LoadedData:
    """Return the splits of a folder with `images/` and `depth/` (metres; 0 or inf = unknown)."""
    extra = {"field": "depth"}
    return _load("depth-folder", params, {"image": ("images",)}, extra, splits)


class MapSplit(Split):
    """Images and measured maps by name, read when they are asked for.

    `images`: input kind -> files in the order of `ids`; empty when only stored predictions are scored. `hidden`: the
    files that mark the pixels that only the left camera sees: masks or, with `seen`, truth without them.
    """

    threaded = True

    def __init__(
        self,
        name: str,
        ids: Sequence[str],
        images: Mapping[str, Sequence[Path]],
        truth: Sequence[Path],
        extra: Mapping[str, Any],
        hidden: Sequence[Path] = (),
        *,
        seen: bool = False,
    ) -> None:
        self.name, self.ids = name, np.array(ids)
        self.groups = self.ids
        self._images, self._truth_files, self._extra = dict(images), list(truth), dict(extra)
        self._field, self._scale = str(extra["field"]), float(extra.get("scale", KITTI_SCALE))
        self._truth: LazyColumn[Array] = file_column(self._truth_files, self._read_truth)
        self._hidden_files, self._seen = list(hidden), seen
        self._hidden: LazyColumn[Array] | None = None
        if hidden:
            names = [str(path) for path in hidden]
            self._hidden = LazyColumn(lambda: nullcontext(self._read_hidden), range(len(self)), names, threaded=True)
        self._digest: str | None = None

    @property
    def ragged(self) -> bool:
        return True

    def read(self, index: Sequence[int] | Array | slice) -> tuple[Batch, Targets]:
        if not self._images:
            raise NoInputsError(f"split {self.name!r} has measured maps but no images, so no model can run on it.")
        places = np.arange(len(self))[index].tolist()
        truth = [self._truth[place] for place in places]
        inputs: dict[str, list[Array]] = {}
        for kind, files in self._images.items():
            inputs[kind] = [np.asarray(read_image(files[place])) for place in places]
            for place, image, known in zip(places, inputs[kind], truth, strict=True):
                if image.shape[:2] != known.shape:
                    wanted, got = (" x ".join(map(str, one.shape[:2])) for one in (image, known))
                    raise DataError(f"{self._truth_files[place]}: has {got} pixels, but its {kind} image has {wanted}.")
        targets: dict[str, Any] = {self._field: truth}
        if self._hidden is not None:
            targets[OCCLUDED] = [self._hidden[place] for place in places]
        return Batch(self.ids[index], inputs), targets

    def targets(self) -> Targets:
        targets: dict[str, Any] = {self._field: self._truth}
        if self._hidden is not None:
            targets[OCCLUDED] = self._hidden
        return targets

    def fingerprint(self) -> str:
        """Digest ids, field, scale and the bytes of the files; images count only when there are any."""
        if self._digest is None:
            digest = hashlib.sha256("\n".join([*self.ids.tolist(), self._field, self._scale.hex()]).encode())
            pictures = [path for kind in sorted(self._images) for path in self._images[kind]]
            digest.update(b"".join(file_digests([*self._truth_files, *self._hidden_files, *pictures])))
            self._digest = digest.hexdigest()
        return self._digest

    def _read_truth(self, path: Path) -> Array:
        values = read_map(path, self._field, self._scale, eight_bits=bool(self._extra.get("eight_bits")))
        return as_truth(values, path)

    def _read_hidden(self, place: int) -> Array:
        """Return bool (H, W), true where the right camera does not see the pixel."""
        path = self._hidden_files[place]
        if not self._seen:
            return np.asarray(read_raster(path) != 0)
        truth, seen = self._truth[place], self._read_truth(path)
        if truth.shape != seen.shape:
            wanted, got = (" x ".join(map(str, one.shape)) for one in (truth, seen))
            raise DataError(f"{path}: has {got} pixels, but {self._truth_files[place]} has {wanted}.")
        return np.asarray((truth > 0) & (seen <= 0))


def _load(
    name: str, params: Mapping[str, Any], kinds: Folders, extra: Mapping[str, Any], splits: Collection[str]
) -> LoadedData:
    root = Path(params["root"])
    if not root.is_dir():
        raise DataError(f"data.root={root}: no such folder.")
    said = params.get("scale")
    extra = {**extra, "scale": float(KITTI_SCALE if said is None else said), "eight_bits": said is not None}
    root = _with_truth(root, str(extra["field"]))
    if (root / "test").is_dir():
        used = [name for name in SPLITS if name in splits and (root / name).is_dir()]
        found: dict[str, Split] = {name: _read_split(root / name, name, kinds, extra) for name in used}
    else:
        found = {"test": _read_split(root, "test", kinds, extra)}
    inputs = {kind: InputSpec((None, None, 3)) for kind in kinds}
    return LoadedData(name, "1", Problem("depth", (), inputs, extra), found)


def _with_truth(root: Path, field: str) -> Path:
    """Return the folder that has the truth: `root`, or its `training/` as KITTI's archives unpack."""
    below = root / "training"
    return below if not _has_one(root, TRUTH[field]) and _has_one(below, TRUTH[field]) else root


def _has_one(folder: Path, names: tuple[str, ...]) -> bool:
    return any((folder / name).is_dir() for name in names)


def _read_split(folder: Path, name: str, kinds: Folders, extra: Mapping[str, Any]) -> MapSplit:
    field = str(extra["field"])
    place = _first_of(folder, TRUTH[field])
    truth = files_by_id(place, SUFFIXES)
    if not truth:
        raise no_files(place, f"measured maps ({', '.join(SUFFIXES)})")
    images: dict[str, list[Path]] = {}
    for kind, places in kinds.items():
        pictures = _first_of(folder, places)
        if not pictures.is_dir():
            if images:
                raise DataError(f"{pictures}: no such folder; wanted the {kind} images.")
            continue
        files = files_by_id(pictures, IMAGE_SUFFIXES)
        if pictures.name != places[0]:
            files = {key: path for key, path in files.items() if key in truth or not key.endswith(SECOND_FRAME)}
        images[kind] = _partners(folder, truth, files, f"{kind} image", f"{field} map")
    hidden: list[Path] = []
    seen = _first_of(folder, SEEN)
    if (folder / "occlusion").is_dir():
        masks = files_by_id(folder / "occlusion", MASK_SUFFIXES)
        hidden = _partners(folder, truth, masks, "occlusion mask", f"{field} map")
    elif field == "disparity" and seen.is_dir():
        hidden = _partners(folder, truth, files_by_id(seen, SUFFIXES), f"map in {seen.name}", f"{field} map")
    by_truth = not (folder / "occlusion").is_dir()
    return MapSplit(name, list(truth), images, list(truth.values()), extra, hidden, seen=by_truth)


def _first_of(folder: Path, names: tuple[str, ...]) -> Path:
    """Return the first of these folders that exists, otherwise the first name."""
    return next((folder / name for name in names if (folder / name).is_dir()), folder / names[0])


def _partners(
    folder: Path, truth: Mapping[str, Path], files: Mapping[str, Path], what: str, measured: str
) -> list[Path]:
    """Return the file of each map; DataError for a map without one, and for one without a map."""
    for one, other, missing in ((truth, files, what), (files, truth, measured)):
        lonely = next((key for key in one if key not in other), None)
        if lonely is not None:
            raise DataError(f"{one[lonely]}: has no {missing} of that name in {folder}.")
    return [files[key] for key in truth]
