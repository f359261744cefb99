"""Predictions made elsewhere: a folder of PFM, 16-bit PNG, npz or npy maps, named like the samples."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlcvbench.contract import Array, External, Problem, Split
from mlcvbench.errors import DataError, PredictionError
from mlcvbench.files.folders import files_by_id
from mlcvbench.files.lazy_columns import LazyColumn, Original
from mlcvbench.files.maps import PICTURE, original_picture
from mlcvbench.files.missing import missing_files
from mlcvbench.files.rasters import raster_bits, read_raster
from mlcvbench_depth.formats import KITTI_SCALE, SUFFIXES, as_estimate, read_map
from mlcvbench_depth.quantise import STORE
from mlcvbench_depth.resizing import resized, resized_disparity
from mlcvbench_depth.scoring import field_of

LOSSY = dict.fromkeys((".jpg", ".jpeg"), "JPEG has 8 bits and changes them")


def read_predictions(path: Path, split: Split, problem: Problem, settings: Mapping[str, Any]) -> External:
    """Return the folder's maps, quantised, as a column that reads one at a time.

    `settings["scale"]`: what the numbers in the files are divided by to give pixels or metres; when it is not set,
    16-bit PNGs are in steps of 1/256 px, or in the data set's scale for depth, and other files hold pixels or metres.
    `settings["resize"]`: how maps of another size than the truth are brought to it; disparities also grow with the
    width. 0 and inf are no estimate of disparity; a depth of inf is beyond any cap.
    DataError names the file: a sample without a map, a map for no sample; on reading, all that `read_map` refuses, NaN,
    negative numbers.
    """
    wanted = f"maps ({', '.join(SUFFIXES)})"
    if not path.is_dir():
        raise DataError(f"{path}: wanted a folder of {wanted}.")
    files, ids = files_by_id(path, SUFFIXES), split.ids.tolist()
    if any(name not in files for name in ids):
        raise missing_files(path, ids, files, wanted, LOSSY)
    known = {*ids, *split.beyond.tolist(), *split.unread.tolist()}
    strange = next((name for name in files if name not in known), None)
    if strange is not None:
        raise DataError(f"{files[strange]}: is a prediction for no sample of split {split.name!r}.")
    field = field_of(problem.extra)
    unit = _Unit(
        settings.get("scale"), float(problem.extra.get("scale", KITTI_SCALE)) if field == "depth" else KITTI_SCALE
    )
    way, truth = settings.get("resize"), split.targets()[field]
    as_stored = field == "disparity" and unit.value == KITTI_SCALE

    def read(place: int) -> Array:
        file = files[ids[place]]
        if as_stored and way is None and raster_bits(file) == 16:
            return read_raster(file)
        estimate = as_estimate(unit.read(file, field), field, file)
        if way is not None and estimate.shape != truth[place].shape:
            resize = resized_disparity if field == "disparity" else resized
            estimate = resize(estimate, truth[place].shape, way)
        try:
            return STORE[field](estimate, f"field {field!r}")
        except PredictionError as error:
            raise DataError(f"{file}: {error}") from None

    def original(place: int) -> Original | None:
        """Return a PNG of measurements; one that would be resized is none."""
        file = files[ids[place]]
        if way is not None or file.suffix.lower() != PICTURE:
            return None
        bits = (16,) if unit.said is None else (8, 16)
        return original_picture(file, None if as_stored else unit.value) if raster_bits(file) in bits else None

    names = [str(files[name]) for name in ids]
    maps: Any = LazyColumn(lambda: nullcontext(read), range(len(ids)), names, threaded=True, original=original)
    return External({field: maps}, f"folder of {field} maps")


class _Unit(NamedTuple):
    """The divisor of the numbers in files: `said` by the user for all files, else `usual` for 16-bit PNGs."""

    said: float | None
    usual: float

    @property
    def value(self) -> float:
        """The divisor of the numbers of a picture."""
        return self.said or self.usual

    def read(self, file: Path, field: str) -> Array:
        """Return the map of a file in pixels or metres."""
        values = read_map(file, field, self.value, eight_bits=self.said is not None)
        if self.said is None or file.suffix.lower() == ".png":
            return values
        return values / np.float32(self.said)
