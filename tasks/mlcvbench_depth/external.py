"""Predictions made elsewhere: a folder of PFM, 16-bit PNG, npz or npy maps, named like the samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlcvbench.columns import file_column
from mlcvbench.contract import Array, External, Problem, Split
from mlcvbench.errors import DataError, PredictionError
from mlcvbench.file_sets import files_by_id
from mlcvbench_depth.formats import SUFFIXES, as_estimate, read_map
from mlcvbench_depth.quantise import STORE
from mlcvbench_depth.scoring import field_of


def read_predictions(path: Path, split: Split, problem: Problem) -> External:
    """Return the folder's maps, quantised, as a column that reads one at a time.

    0 and inf mean no estimate; 16-bit PNGs are in steps of 1/256 px, or in the data set's scale for depth. DataError
    names the file: a sample without a map, a map of no sample; when it is read, all that `read_map` refuses, NaN,
    negative numbers.
    """
    from mlcvbench.contract.split import SubSplit

    if not path.is_dir():
        raise DataError(f"{path}: wanted a folder of maps ({', '.join(SUFFIXES)}).")
    files, ids = files_by_id(path, SUFFIXES), split.ids.tolist()
    missing = next((name for name in ids if name not in files), None)
    if missing is not None:
        raise DataError(
            f"{path / missing}: no map ({', '.join(SUFFIXES)}) of that name; {len(ids)} samples need one each."
        )
    strange = next((name for name in files if name not in set(ids)), None)
    if strange is not None and not isinstance(split, SubSplit):
        raise DataError(f"{files[strange]}: is a prediction of no sample in split {split.name!r}.")
    field = field_of(problem.extra)
    scale = float(problem.extra.get("scale", 256.0)) if field == "depth" else 256.0

    def read(file: Path) -> Array:
        estimate = as_estimate(read_map(file, field, scale), file)
        try:
            return STORE[field](estimate, f"field {field!r}")
        except PredictionError as error:
            raise DataError(f"{file}: {error}") from None

    maps: Any = file_column([files[name] for name in ids], read)
    return External({field: maps}, f"folder of {field} maps")
