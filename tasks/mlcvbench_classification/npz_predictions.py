"""An npz of class scores, probabilities or labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mlcvbench.contract import Array, Notice
from mlcvbench.errors import DataError, OverrideError, did_you_mean
from mlcvbench.files.npz import NpzReader, open_npz
from mlcvbench_classification.class_order import Order, assumed_order, complete_order, refuse_said, said_order
from mlcvbench_classification.given import Given, Wanted
from mlcvbench_classification.rearranging import with_columns

FIELDS = ("scores", "probabilities", "labels")
KNOWN = ("classes", "ids", *FIELDS)


def read_npz(path: Path, wanted: Wanted) -> Given:
    """Return the predictions of an npz; DataError names an array that is unknown, missing or does not fit."""
    with open_npz(path) as file:
        for name in file.headers:
            if name not in KNOWN:
                raise DataError(f"{path}: unknown array {name[:100]!r}. Known: {', '.join(KNOWN)}.")
        fields = [name for name in FIELDS if name in file.headers]
        if len(fields) != 1:
            got = ", ".join(file.headers) or "nothing"
            raise DataError(f"{path}: wanted one array of 'scores', 'probabilities' or 'labels', got {got}.")
        field = fields[0]
        ids, rows = _rows(path, file, field, wanted)
        if field == "labels":
            _check_header(path, file, field, (rows,), "iuUS")
        else:
            _check_header(path, file, field, (rows, len(wanted.classes)), "iuf")
        values, names = file.read(field), _class_names(path, file, wanted)
    places = [] if ids is None else [f"row {row}" for row in range(rows)]
    if field == "labels":
        labels, notices = _labels(path, values, names, wanted)
        return Given(field, labels, ids, places, notices)
    order = names or assumed_order(path, wanted.classes, "columns")
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which the check refuses
        scores = values.astype(np.float32, copy=False)
    return Given(field, with_columns(scores, order.columns), ids, places, order.notices)


def _rows(path: Path, file: NpzReader, field: str, wanted: Wanted) -> tuple[list[str] | None, int]:
    """Return the ids of the rows, None when there are none, and how many rows the file must have."""
    if "ids" not in file.headers:
        return None, wanted.in_order if file.headers[field].shape[:1] == (wanted.in_order,) else wanted.samples
    shape = file.headers["ids"].shape
    rows = shape[0] if len(shape) == 1 and shape[0] <= wanted.most else wanted.samples
    _check_header(path, file, "ids", (rows,), "USiu")
    return _texts(file.read("ids")), rows


def _class_names(path: Path, file: NpzReader, wanted: Wanted) -> Order | None:
    """Return the order of the classes given by the file or the request, None when neither gives one."""
    said = said_order(wanted.settings, wanted.classes)
    if "classes" not in file.headers:
        return said
    _check_header(path, file, "classes", (len(wanted.classes),), "USiu")
    order = complete_order(_texts(file.read("classes")), wanted.classes, f"{path}, array 'classes'")
    if said is not None and (order.labels != said.labels).any():
        raise OverrideError(f"{path.name} names its classes in another order than the request; omit that one.")
    return order


def _labels(path: Path, values: Array, names: Order | None, wanted: Wanted) -> tuple[Array, tuple[Notice, ...]]:
    """Return labels int64 (N,): class names directly, numbers as indices into the order of the classes."""
    if values.dtype.kind not in "US":
        order = names or assumed_order(path, wanted.classes, "labels")
        labels = values.astype(np.int64)
        outside = (labels < 0) | (labels >= len(wanted.classes))  # refused when they are checked
        return np.where(outside, labels, order.labels[np.where(outside, 0, labels)]), order.notices
    refuse_said(wanted.settings, f"the labels of {path.name} are names")
    known = {name: label for label, name in enumerate(wanted.classes)}
    labels = np.empty(len(values), dtype=np.int64)
    for row, name in enumerate(_texts(values)):
        if name not in known:
            near = did_you_mean(name[:100], wanted.classes)
            raise DataError(f"{path}, row {row}: unknown class {name[:100]!r}.{near}")
        labels[row] = known[name]
    return labels, ()


def _check_header(path: Path, file: NpzReader, name: str, shape: tuple[int, ...], kinds: str) -> None:
    header = file.headers[name]
    if header.shape != shape or header.dtype.kind not in kinds:
        raise DataError(f"{path}: wanted array {name!r} of shape {shape}, got {header.dtype} {header.shape}.")


def _texts(values: Array) -> list[str]:
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in values.tolist()]
