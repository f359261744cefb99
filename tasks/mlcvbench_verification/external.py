"""Predictions made elsewhere: npz of embeddings, or CSV of a value a pair."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from mlcvbench.contract import Array, External, Problem, Split, Task
from mlcvbench.csv_table import Row, read_rows
from mlcvbench.errors import DataError, OverrideError, PredictionError
from mlcvbench.limits import MAX_EMBEDDING, MAX_TEXT_BYTES
from mlcvbench.npz import open_npz
from mlcvbench_verification.pairs import Pairs
from mlcvbench_verification.protocols import GIVEN, PAIRS

VALUES = ("distance", "similarity")
_PLAIN = re.compile(rb"[0-9eE+\-.\r\n]*")


def read_predictions(path: Path, split: Split, problem: Problem, settings: Mapping[str, Any], task: Task) -> External:
    """Read and align predictions; DataError names the file and the line or field that is wrong.

    - `.npz`: `embedding` (N, D), `distance` (cosine, l2 or l1; default cosine), and `ids` (N,) unless the rows are in
      the order of the split.
    - `.csv`, `.txt`: lines `value` in the order of the pairs, or `a,b,value` with names of images in any order;
      `settings["value"]` says whether they are a `distance` or a `similarity`.
    """
    value, suffix = settings.get("value"), path.suffix.lower()
    if suffix == ".npz":
        if value is not None:
            raise OverrideError("key 'value' has no effect on embeddings: their distance is part of the file.")
        return External(_read_embeddings(path, split, problem, task), "npz of embeddings")
    if suffix not in (".csv", ".txt"):
        raise DataError(f"{path}: wanted .npz of embeddings or .csv of values of pairs, got {suffix or 'no ending'}.")
    if value not in VALUES:
        raise OverrideError(f"values of pairs need value=distance or value=similarity, got {value or 'nothing'}.")
    values = _read_values(path, split)
    family = str(problem.extra.get("pairs", PAIRS))
    return External(
        {"similarity": -values if value == "distance" else values}, f"csv of {value}", f"{family}/{GIVEN}@1"
    )


def _read_embeddings(path: Path, split: Split, problem: Problem, task: Task) -> dict[str, Any]:
    with open_npz(path) as file:
        if "embedding" not in file.headers:
            raise DataError(f"{path}: wanted an array 'embedding', got {', '.join(sorted(file.headers)) or 'none'}.")
        shape = file.headers["embedding"].shape
        if len(shape) != 2 or shape[1] > MAX_EMBEDDING or ("ids" not in file.headers and shape[0] != len(split)):
            raise DataError(
                f"{path}: field 'embedding': wanted ({len(split)}, D) with D up to {MAX_EMBEDDING}, got {shape}."
            )
        embedding = file.read("embedding")
        ids = file.read("ids") if "ids" in file.headers else None
        distance = file.read("distance") if "distance" in file.headers else "cosine"
    try:
        if ids is not None:
            embedding = embedding[_order_of(path, ids, split)]
        return task.check({"embedding": embedding, "distance": distance}, split.ids, problem)
    except PredictionError as error:
        raise DataError(f"{path}: {error}") from None


def _order_of(path: Path, ids: Array, split: Split) -> Array:
    """Return where each sample's row is."""
    rows = {str(name): row for row, name in enumerate(ids.ravel())}
    if len(rows) != ids.size:
        raise DataError(f"{path}: field 'ids': some are given twice.")
    missing = next((name for name in split.ids.tolist() if name not in rows), None)
    if missing is not None:
        raise DataError(f"{path}: field 'ids': sample {missing!r} is missing.")
    return np.array([rows[name] for name in split.ids.tolist()], dtype=np.int64)


def _read_values(path: Path, split: Split) -> Array:
    pairs = cast("Pairs", split.targets()["pairs"])
    values = _read_numbers(path, len(pairs))
    return _read_rows(path, split, pairs) if values is None else values


def _read_numbers(path: Path, count: int) -> Array | None:
    """Return the values of a file that is one finite number a line and nothing else, quickly; None for any other."""
    if not path.is_file() or path.stat().st_size > MAX_TEXT_BYTES:
        return None
    text = path.read_bytes()
    if text.rstrip().count(b"\n") + 1 != count or not _PLAIN.fullmatch(text):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            values = np.fromstring(text, dtype=np.float64, sep=" ")
        except (ValueError, DeprecationWarning):
            return None
    return values if len(values) == count and np.isfinite(values).all() else None


def _read_rows(path: Path, split: Split, pairs: Pairs) -> Array:
    """Return the values in the order of the pairs, row by row, so that an error can name its line."""
    values, count = np.empty(len(pairs)), 0
    order: _Order | None = None
    width = 0
    for place, row in enumerate(read_rows(path)):
        cells = [cell.strip() for cell in row.cells]
        if place == 0:
            width = len(cells)
            order = _Order(path, pairs, split) if width == 3 else None
            if not _is_number(cells[-1]):
                continue  # a header
        if len(cells) != width or width not in (1, 3) or not _is_number(cells[-1]):
            form = "a number" if width == 1 else "a,b,value"
            raise DataError(f"{path}, line {row.line}: wanted {form}, got {','.join(cells)[:80]!r}.")
        if not math.isfinite(float(cells[-1])):
            raise DataError(f"{path}, line {row.line}: wanted a finite number, got {cells[-1][:80]}.")
        if count < len(pairs):
            values[count if order is None else order.place_of(row, cells)] = float(cells[-1])
        count += 1
    if count != len(pairs):
        raise DataError(f"{path}: wanted {len(pairs)} values, one a pair, got {count}.")
    return values


class _Order:
    """Finds the pair that a row names, each once."""

    def __init__(self, path: Path, pairs: Pairs, split: Split) -> None:
        ids = split.ids.tolist()
        self._path = path
        both = zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
        self._left = {(ids[a], ids[b]): place for place, (a, b) in enumerate(both)}

    def place_of(self, row: Row, cells: list[str]) -> int:
        one, other = cells[:2]
        place = self._left.pop((one, other), None)
        if place is None:
            place = self._left.pop((other, one), None)
        if place is None:
            named = f"{one},{other}"[:120]
            raise DataError(f"{self._path}, line {row.line}: {named!r} is no pair of the list, or is given twice.")
        return place


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
