"""Predictions made elsewhere: a folder of label images, or of arrays, named like the data set's labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlcvbench.contract import External, Problem, Split
from mlcvbench.errors import DataError
from mlcvbench.files.folders import files_by_id
from mlcvbench.files.lazy_columns import file_column
from mlcvbench.files.missing import missing_files
from mlcvbench_segmentation.folder import LABEL_SUFFIXES, LOSSY, WANTED
from mlcvbench_segmentation.label_arrays import ARRAY_SUFFIXES
from mlcvbench_segmentation.prediction_coding import prediction_coding


def read_predictions(path: Path, split: Split, problem: Problem, settings: Mapping[str, Any]) -> External:
    """Return the folder's label maps as a column that reads one at a time.

    A file is named like its sample (`labels/a/b.png` -> `a/b.png`): an image of one channel of 8 or 16 bits, of a
    palette or of colours, or an array of whole numbers where there are no images; what they mean: `prediction_coding`.
    DataError names the file: a missing prediction and what is there instead, or a prediction for no sample; on reading,
    wrong sizes, and values and colours that are not classes.
    """
    wanted = f"{WANTED} or arrays ({', '.join(ARRAY_SUFFIXES)})"
    if not path.is_dir():
        raise DataError(f"{path}: wanted a folder of {wanted}.")
    files, ids = files_by_id(path, LABEL_SUFFIXES) or files_by_id(path, ARRAY_SUFFIXES), split.ids.tolist()
    if any(name not in files for name in ids):
        raise missing_files(path, ids, files, wanted, LOSSY)
    strange = sorted(set(files) - {*ids, *split.beyond.tolist(), *split.unread.tolist()})
    if strange:
        raise DataError(f"{files[strange[0]]}: is a prediction for no sample of split {split.name!r}.")
    coding = prediction_coding(problem, settings)
    maps: Any = file_column(
        [files[name] for name in ids], lambda file: coding.decode(file, ignored=False), coding.original
    )
    kind = "label images" if files[ids[0]].suffix.lower() in LABEL_SUFFIXES else "arrays of labels"
    return External({"label_map": maps}, f"folder of {kind}")
