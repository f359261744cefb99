"""Predictions made elsewhere: npz or CSV files of class scores or labels, aligned with a split by id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import Array, External, Notice, Predictions, Problem, Split, Task
from mlcvbench.errors import DataError, OverrideError, PredictionError, did_you_mean
from mlcvbench.files.missing import no_file
from mlcvbench_classification.csv_predictions import read_csv
from mlcvbench_classification.doubts import read_scores
from mlcvbench_classification.given import Given, Wanted
from mlcvbench_classification.npz_predictions import read_npz
from mlcvbench_classification.rearranging import blocks_of, with_rows
from mlcvbench_classification.values import rows_to_scale

READERS: dict[str, Callable[[Path, Wanted], Given]] = {".npz": read_npz, ".csv": read_csv}
PACKED = (".gz", ".zip", ".bz2", ".xz", ".zst", ".7z", ".tar")


def read_predictions(path: Path, split: Split, problem: Problem, settings: Mapping[str, Any], task: Task) -> External:
    """Read and align predictions; DataError names the file and the line or field that is wrong.

    - `.npz`: `scores` (N, C), `probabilities` (N, C) or `labels` (N,), numbers or class names; `ids` (N,) unless the
      rows are in the order of the split; `classes` (C,), the names of the columns.
    - `.csv`: header `id,<class name>...` in any order, or `id,label` with class names (or numbers, when no class is
      named by a number).

    `settings`: `values` says that scores are `logits` or `probabilities` (module `values` has the rule otherwise);
    `classes` and `class_file` the order of the classes (module `class_order`). OverrideError for one without effect.
    Predictions of samples left out by `limit=` or `data.skip=` are ignored.
    """
    if path.is_dir():
        raise no_file(path, "a .npz or .csv file of class scores or labels")
    if path.suffix.lower() not in READERS:
        got = path.suffix or "no ending"
        hint = "; unpack it" if path.suffix.lower() in PACKED else ""
        raise DataError(f"{path}: wanted a .npz or .csv file of class scores or labels, got {got}{hint}.")
    wanted = Wanted(tuple(problem.classes), len(split), len(split.beyond), len(split.unread), settings)
    given = READERS[path.suffix.lower()](path, wanted)
    values = with_rows(given.values, _alignment(path, given, split))
    field, source, doubts = _read_as(path, given.field, values, settings.get("values"))
    try:
        checked = _checked(field, values, split.ids, problem, task)
    except PredictionError as error:
        raise DataError(f"{path}: {error}") from None
    return External(checked, source, notices=(*given.notices, *doubts))


def _checked(field: str, values: Array, ids: Array, problem: Problem, task: Task) -> Predictions:
    """Return checked predictions: scores block by block and in place, since samples are checked independently."""
    if field != "scores":
        return task.check({field: values}, ids, problem)
    for rows in blocks_of(values):
        values[rows] = task.check({field: values[rows]}, ids[rows], problem)[field]
    return {field: values}


def _read_as(path: Path, field: str, values: Array, said: str | None) -> tuple[str, str, list[Notice]]:
    """Return the field as which a file's values are checked, a description of the reading, and notices of
    assumptions.
    """
    if field == "labels":
        if said is not None:
            raise OverrideError(f"values={said} has no effect: {path.name} holds labels, not scores.")
        return field, f"{path.name}: labels", []
    if field == "probabilities" and said == "logits":
        raise OverrideError(f"values=logits contradicts {path.name}, whose array is called 'probabilities'.")
    read_as, notices = said or field, list[Notice]()
    if said is None and field == "scores":
        read_as, notices = read_scores(values, f"the scores of {path.name}")
    if read_as == "probabilities":
        scaled = rows_to_scale(values)
        more = f", {scaled} of {len(values)} rows scaled to sum to 1" if scaled else ""
        return "probabilities", f"{path.name}: {field} read as probabilities{more}", notices
    return field, f"{path.name}: scores read as logits", notices


def _alignment(path: Path, given: Given, split: Split) -> Array:
    """Return, for each sample of the split, its row in the file."""
    count = len(split)
    if given.ids is None or list(given.ids) == split.ids.tolist():
        return np.arange(count)
    rows: dict[str, int] = {}
    known = {str(name): place for place, name in enumerate(split.ids)}
    left_out = {*map(str, split.beyond), *map(str, split.unread)}
    seen: set[str] = set()
    for row, name in enumerate(given.ids):
        if name not in known and name not in left_out:
            near = did_you_mean(name, known) if count <= 20_000 else ""
            raise DataError(f"{path}, {given.places[row]}: unknown id {name[:100]!r}.{near}")
        if name in seen:
            raise DataError(f"{path}, {given.places[row]}: id {name!r} is given twice.")
        seen.add(name)
        if name in known:
            rows[name] = row
    missing = [name for name in known if name not in rows]
    if missing:
        raise DataError(f"{path}: no prediction for {len(missing)} of {count} samples; the first is {missing[0]!r}.")
    return np.fromiter((rows[name] for name in known), dtype=np.int64, count=count)
