"""Predictions made elsewhere: npz or CSV files of class scores or labels, aligned with a split by id."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlcvbench.contract import Array, External, Problem, Task
from mlcvbench.csv_table import CsvTable, Row, read_table
from mlcvbench.errors import DataError, OverrideError, PredictionError, did_you_mean
from mlcvbench.npz import NpzReader, open_npz

SUM_TOLERANCE = 0.01
"""How far from 1 the probabilities of a sample may sum (half precision, printed decimals)."""


class Given(NamedTuple):
    """What a file holds: a column `scores` float32 (M, C) or `labels` int64 (M,).

    `ids` name the rows, None when they are in the order of the split; `places` say where each row stands.
    """

    field: str
    values: Array
    ids: Sequence[str] | None = None
    places: Sequence[str] = ()


def read_predictions(
    path: Path, split_ids: Array, problem: Problem, settings: Mapping[str, Any], task: Task
) -> External:
    """Read and align predictions; DataError names the file and the line or field that is wrong.

    - `.npz`: `scores` (N, C) or `labels` (N,), and `ids` (N,) unless the rows are in the order of the split.
    - `.csv`: header `id,<class name>...` in any order, or `id,label` with class names (or numbers, when no class is
      named by a number).

    `settings["values"]`: `logits`, or `probabilities`, whose logarithm is taken. When it is not given, rows that all
    lie in [0, 1] and sum to 1 are probabilities.
    """
    value = settings.get("values")
    readers: dict[str, Callable[[Path, int, Sequence[str]], Given]] = {".npz": _read_npz, ".csv": _read_csv}
    if path.suffix.lower() not in readers:
        got = path.suffix or "no ending"
        raise DataError(f"{path}: wanted a .npz or .csv file of class scores or labels, got {got}.")
    given = readers[path.suffix.lower()](path, len(split_ids), problem.classes)
    values, source = given.values[_alignment(path, given, split_ids)], f"{path.name}: {given.field}"
    if given.field == "scores":
        value = value or ("probabilities" if _look_like_probabilities(values) else "logits")
        source = f"{source} read as {value}"
        values = _logarithms(path, values, split_ids) if value == "probabilities" else values
    elif value is not None:
        raise OverrideError(f"values={value} has no effect: {path.name} holds labels, not scores.")
    try:
        return External(task.check({given.field: values}, split_ids, problem), source)
    except PredictionError as error:
        raise DataError(f"{path}: {error}") from None


def _alignment(path: Path, given: Given, split_ids: Array) -> Array:
    """Return, for each sample of the split, its row in the file."""
    count = len(split_ids)
    if given.ids is None:
        return np.arange(count)
    rows: dict[str, int] = {}
    known = {str(name): place for place, name in enumerate(split_ids)}
    for row, name in enumerate(given.ids):
        if name not in known:
            near = did_you_mean(name, known) if count <= 20_000 else ""
            raise DataError(f"{path}, {given.places[row]}: unknown id {name[:100]!r}.{near}")
        if name in rows:
            raise DataError(f"{path}, {given.places[row]}: id {name!r} is given twice.")
        rows[name] = row
    missing = [name for name in known if name not in rows]
    if missing:
        raise DataError(f"{path}: no prediction for {len(missing)} of {count} samples; the first is {missing[0]!r}.")
    return np.fromiter((rows[name] for name in known), dtype=np.int64, count=count)


def _look_like_probabilities(scores: Array) -> bool:
    if not scores.size or not (scores.min() >= 0 and scores.max() <= 1):
        return False
    return bool((np.abs(scores.sum(axis=1, dtype=np.float64) - 1) <= SUM_TOLERANCE).all())


def _logarithms(path: Path, scores: Array, ids: Array) -> Array:
    """Return float32 logarithms; a probability of 0 becomes the smallest normal float32, so that they stay finite."""
    bad = np.flatnonzero(~((scores >= 0) & (scores <= 1)).all(axis=1))
    if len(bad):
        raise DataError(f"{path}: the values of sample {str(ids[bad[0]])!r} are not all probabilities from 0 to 1.")
    return np.log(np.maximum(scores, np.finfo(np.float32).tiny))


def _read_npz(path: Path, count: int, classes: Sequence[str]) -> Given:
    with open_npz(path) as file:
        fields = sorted({"scores", "labels"} & set(file.headers))
        if len(fields) != 1:
            raise DataError(
                f"{path}: wanted an array 'scores' or 'labels', got {', '.join(file.headers) or 'nothing'}."
            )
        field = fields[0]
        _check_header(path, file, field, (count, len(classes)) if field == "scores" else (count,), "iuf")
        ids = None
        if "ids" in file.headers:
            _check_header(path, file, "ids", (count,), "USiu")
            ids = _texts(file.read("ids"))
        values = file.read(field)
    if field == "labels" and values.dtype.kind == "f":
        raise DataError(f"{path}: wanted integers in 'labels', got {values.dtype}.")
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which is refused by name
        values = values.astype(np.float32 if field == "scores" else np.int64)
    return Given(field, values, ids, [f"row {row}" for row in range(len(ids))] if ids is not None else ())


def _check_header(path: Path, file: NpzReader, name: str, shape: tuple[int, ...], kinds: str) -> None:
    header = file.headers[name]
    if header.shape != shape or header.dtype.kind not in kinds:
        raise DataError(f"{path}: wanted array {name!r} of shape {shape}, got {header.dtype} {header.shape}.")


def _texts(ids: Array) -> list[str]:
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in ids.tolist()]


def _read_csv(path: Path, count: int, classes: Sequence[str]) -> Given:
    table = read_table(path)
    if not table.header or table.header[0] != "id" or len(table.header) < 2:
        raise DataError(f"{path}, line 1: wanted a header id,<class names> or id,label, got {_short(table.header)}.")
    if table.header == ["id", "label"] and "label" not in classes:
        return _csv_labels(path, table, count, classes)
    return _csv_scores(path, table, count, classes)


def _csv_labels(path: Path, table: CsvTable, count: int, classes: Sequence[str]) -> Given:
    numbers = {name: label for label, name in enumerate(classes)}
    if not any(name.strip().isdecimal() for name in classes):
        numbers |= {str(label): label for label in range(len(classes))}
    ids, places, labels = [], [], []
    for row in _at_most(path, table, count):
        name = row.cells[1]
        if name not in numbers:
            raise DataError(
                f"{path}, line {row.line}: unknown class {name[:100]!r}.{did_you_mean(name[:100], classes)}"
            )
        ids.append(row.cells[0])
        places.append(f"line {row.line}")
        labels.append(numbers[name])
    return Given("labels", np.array(labels, dtype=np.int64), ids, places)


def _csv_scores(path: Path, table: CsvTable, count: int, classes: Sequence[str]) -> Given:
    columns = _class_columns(path, table.header, classes)
    ids, places = [], []
    scores = np.empty((count, len(classes)), dtype=np.float32)
    for number, row in enumerate(_at_most(path, table, count)):
        ids.append(row.cells[0])
        places.append(f"line {row.line}")
        scores[number] = _numbers(path, row)[columns]
    return Given("scores", scores[: len(ids)], ids, places)


def _class_columns(path: Path, header: Sequence[str], classes: Sequence[str]) -> Array:
    """Return, for each class, its column among the score columns."""
    places = {name: place for place, name in enumerate(header[1:])}
    for name in header[1:]:
        if name not in classes:
            raise DataError(f"{path}, line 1: unknown class {name[:100]!r}.{did_you_mean(name[:100], classes)}")
    if len(places) != len(header) - 1:
        raise DataError(f"{path}, line 1: a class is named twice.")
    missing = [name for name in classes if name not in places]
    if missing:
        raise DataError(f"{path}, line 1: {len(missing)} of {len(classes)} classes have no column: {missing[0]!r} ...")
    return np.array([places[name] for name in classes], dtype=np.int64)


def _at_most(path: Path, table: CsvTable, count: int) -> Iterator[Row]:
    for number, row in enumerate(table.rows):
        if number >= count:
            raise DataError(f"{path}, line {row.line}: has more rows than the split's {count} samples.")
        yield row


def _numbers(path: Path, row: Row) -> Array:
    """Return the scores of a row as float32."""
    try:
        if any("_" in cell for cell in row.cells[1:]):  # Python would read 1_0 as ten
            raise ValueError
        exact = np.array([float(cell) for cell in row.cells[1:]])
    except ValueError:
        raise DataError(f"{path}, line {row.line}: wanted numbers after the id, got {_short(row.cells[1:])}.") from None
    with np.errstate(over="ignore"):
        values = exact.astype(np.float32)
    if not np.isfinite(values).all():
        raise DataError(
            f"{path}, line {row.line}: wanted finite float32 numbers, got {exact[~np.isfinite(values)][0]}."
        )
    return values


def _short(cells: Sequence[str]) -> str:
    shown = ",".join(cells)
    return repr(shown if len(shown) <= 60 else shown[:57] + "...")
