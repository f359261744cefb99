"""Predictions made elsewhere: a folder of label images named like the data set's, coded like its labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlcvbench.columns import file_column
from mlcvbench.contract import External, Problem, Split
from mlcvbench.errors import DataError
from mlcvbench.file_sets import files_by_id
from mlcvbench_segmentation.coding import Coding
from mlcvbench_segmentation.folder import LABEL_SUFFIXES


def read_predictions(path: Path, split: Split, problem: Problem) -> External:
    """Return the folder's label maps as a column that reads one at a time.

    A file is named like its sample (`labels/a/b.png` -> `a/b.png`), one channel of 8 or 16 bits or a palette, values
    coded like the labels of the data set (a label map applies to both). DataError names the file: a sample without
    prediction, a prediction of no sample; when it is read, wrong sizes, colours, values that are no class.
    """
    if not path.is_dir():
        raise DataError(f"{path}: wanted a folder of label images ({', '.join(LABEL_SUFFIXES)}).")
    files = files_by_id(path, LABEL_SUFFIXES)
    missing = next((name for name in split.ids.tolist() if name not in files), None)
    if missing is not None:
        raise DataError(f"{path / missing}.png: no such file; {len(split)} samples need a prediction each.")
    strange = sorted(set(files) - set(split.ids.tolist()))
    if strange and not _is_part(split):
        raise DataError(f"{files[strange[0]]}: is a prediction of no sample in split {split.name!r}.")
    classes = len(problem.classes)
    coding = (
        Coding.from_plain(problem.extra["coding"], classes)
        if "coding" in problem.extra
        else Coding.plain(classes, None)
    )
    maps: Any = file_column(
        [files[name] for name in split.ids.tolist()], lambda file: coding.decode(file, ignored=False)
    )
    return External({"label_map": maps}, "folder of label images")


def _is_part(split: Split) -> bool:
    """Say whether the split was cut by `limit=`, so that predictions of other samples are no mistake."""
    from mlcvbench.contract.split import SubSplit

    return isinstance(split, SubSplit)
