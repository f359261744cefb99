"""A CSV of class scores, whose header names the classes, or of labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.errors import DataError, did_you_mean
from mlcvbench.files.csv_columns import CsvTable, Row, read_table
from mlcvbench_classification.class_order import assumed_order, complete_order, is_number, refuse_said, said_order
from mlcvbench_classification.given import Given, Wanted


def read_csv(path: Path, wanted: Wanted) -> Given:
    """Return the predictions of a CSV file; DataError names the wrong line."""
    table = read_table(path)
    if not table.header or table.header[0] != "id" or len(table.header) < 2:
        raise DataError(f"{path}, line 1: wanted a header id,<class names> or id,label, got {_short(table.header)}.")
    if table.header == ["id", "label"] and "label" not in wanted.classes:
        return _labels(path, table, wanted)
    refuse_said(wanted.settings, f"{path.name} names its columns")
    return _scores(path, table, wanted)


def _labels(path: Path, table: CsvTable, wanted: Wanted) -> Given:
    """Return class names as labels; where no class is named by a number, a number is an index into their order."""
    names = {name: label for label, name in enumerate(wanted.classes)}
    order, used = said_order(wanted.settings, wanted.classes), False
    numbered = not any(name.strip().isdecimal() for name in wanted.classes)
    ids, places, labels = [], [], []
    for row in _at_most(path, table, wanted):
        name = row.cells[1]
        if name in names:
            labels.append(names[name])
        elif numbered and is_number(name) and str(int(name)) == name and int(name) < len(wanted.classes):
            order, used = order or assumed_order(path, wanted.classes, "labels"), True
            labels.append(int(order.labels[int(name)]))
        else:
            near = did_you_mean(name[:100], wanted.classes)
            raise DataError(f"{path}, line {row.line}: unknown class {name[:100]!r}.{near}")
        ids.append(row.cells[0])
        places.append(f"line {row.line}")
    if not used:
        refuse_said(wanted.settings, f"the labels of {path.name} are names")
    return Given("labels", np.array(labels, dtype=np.int64), ids, places, order.notices if order and used else ())


def _scores(path: Path, table: CsvTable, wanted: Wanted) -> Given:
    order = complete_order(table.header[1:], wanted.classes, f"{path}, line 1")
    ids, places = [], []
    scores = np.empty((wanted.most, len(wanted.classes)), dtype=np.float32)
    for number, row in enumerate(_at_most(path, table, wanted)):
        ids.append(row.cells[0])
        places.append(f"line {row.line}")
        scores[number] = _numbers(path, row)[order.columns]
    return Given("scores", scores[: len(ids)], ids, places)


def _at_most(path: Path, table: CsvTable, wanted: Wanted) -> Iterator[Row]:
    for number, row in enumerate(table.rows):
        if number >= wanted.most:
            raise DataError(f"{path}, line {row.line}: has more rows than the split's {wanted.most} samples.")
        yield row


def _numbers(path: Path, row: Row) -> Array:
    """Return the scores of a row as float32."""
    try:
        if any("_" in cell for cell in row.cells[1:]):  # Python would parse 1_0 as ten
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
