"""Predictions made elsewhere: npz of embeddings, or CSV of one value per pair."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from mlcvbench.contract import Array, External, Notice, Problem, Split, Task
from mlcvbench.errors import DataError, OverrideError, PredictionError
from mlcvbench.files.csv_columns import Row, read_rows
from mlcvbench.files.npz import open_npz
from mlcvbench.limits import MAX_EMBEDDING, MAX_TEXT_BYTES
from mlcvbench_verification.pairs import Pairs
from mlcvbench_verification.split import origin_of

VALUES = ("distance", "similarity")
_PLAIN = re.compile(rb"[0-9eE+\-.\r\n]*")


def read_predictions(path: Path, split: Split, problem: Problem, settings: Mapping[str, Any], task: Task) -> External:
    """Read and align predictions; DataError names the file and the line or field that is wrong.

    - `.npz`: `embedding` (N, D), `distance` (cosine, l2 or l1; default cosine), and `ids` (N,) unless the rows are in
      the order of the split.
    - `.csv`, `.txt`: lines `value` in the order of the pairs, or `a,b,value` with names of images in any order; the
      header's last cell or `settings["value"]` says whether they are a `distance` or a `similarity`.

    Of a part of the data set (`limit=`), the file may be that of the whole.
    """
    value, suffix = settings.get("value"), path.suffix.lower()
    if suffix == ".npz":
        if value is not None:
            raise OverrideError("key 'value' has no effect on embeddings: their distance is part of the file.")
        return _read_embeddings(path, split, problem, task)
    if suffix not in (".csv", ".txt"):
        raise DataError(f"{path}: wanted .npz of embeddings or .csv of values of pairs, got {suffix or 'no ending'}.")
    whole, kept = origin_of(split)
    pairs = cast("Pairs", whole.targets()["pairs"])
    values, said = _read_numbers(path, len(pairs)), None
    if values is None:
        values, said = _read_rows(path, whole, pairs)
    value = _meaning(path, value, said)
    values = values[pairs.inside(kept)] if len(kept) < len(whole) else values
    return External({"similarity": -values if value == "distance" else values}, f"csv of {value}")


def _meaning(path: Path, value: str | None, said: str | None) -> str:
    """Return whether values are a distance or a similarity: as the request or the file's header says."""
    if said is not None and value not in (None, said):
        raise OverrideError(f"value={value}, but the column of values in {path} is called {said!r}.")
    if value is None and said is None:
        raise OverrideError("values of pairs need value=distance or value=similarity, got nothing.")
    return str(value or said)


def _read_embeddings(path: Path, split: Split, problem: Problem, task: Task) -> External:
    whole, kept = origin_of(split)
    with open_npz(path) as file:
        if "embedding" not in file.headers:
            raise DataError(f"{path}: wanted an array 'embedding', got {', '.join(sorted(file.headers)) or 'none'}.")
        strange = sorted(set(file.headers) - {"embedding", "ids", "distance"})
        if strange:
            raise DataError(f"{path}: wanted arrays embedding, ids and distance, got {strange[0]!r} too.")
        shape = file.headers["embedding"].shape
        if len(shape) != 2 or shape[1] > MAX_EMBEDDING or ("ids" not in file.headers and shape[0] != len(whole)):
            raise DataError(
                f"{path}: field 'embedding': wanted ({len(whole)}, D) with D up to {MAX_EMBEDDING}, got {shape}."
            )
        embedding = file.read("embedding")
        ids = file.read("ids") if "ids" in file.headers else None
        distance = file.read("distance") if "distance" in file.headers else "cosine"
    notices = [] if ids is None else _unused(ids, whole)
    try:
        if ids is not None or len(kept) < len(whole):
            embedding = embedding[kept if ids is None else _order_of(path, ids, split)]
        checked = task.check({"embedding": embedding, "distance": _of_one(distance)}, split.ids, problem)
    except PredictionError as error:
        raise DataError(f"{path}: {error}") from None
    return External(checked, "npz of embeddings", notices=tuple(notices))


def _of_one(distance: Any) -> Any:
    """Return the single distance of a column that repeats it, since its rows may differ from the split; else
    unchanged.
    """
    different = np.unique(np.asarray(distance))
    return different[0] if len(different) == 1 else distance


def _unused(ids: Array, whole: Split) -> list[Notice]:
    """Return how many embeddings belong to no image of the split."""
    strange = int(np.count_nonzero(~np.isin(ids.ravel().astype(np.str_), whole.ids)))
    if not strange:
        return []
    text = f"{strange:,} of {ids.size:,} embeddings are of no image that is compared, and are not used."
    return [Notice("unused-embeddings", text, strange)]


def _order_of(path: Path, ids: Array, split: Split) -> Array:
    """Return the row of each sample."""
    rows = {str(name): row for row, name in enumerate(ids.ravel())}
    if len(rows) != ids.size:
        raise DataError(f"{path}: field 'ids': some are given twice.")
    missing = next((name for name in split.ids.tolist() if name not in rows), None)
    if missing is not None:
        raise DataError(f"{path}: field 'ids': sample {missing!r} is missing.")
    return np.array([rows[name] for name in split.ids.tolist()], dtype=np.int64)


def _read_numbers(path: Path, count: int) -> Array | None:
    """Return the values of a file with one finite number per line, by a fast path; None for any other file."""
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


def _read_rows(path: Path, split: Split, pairs: Pairs) -> tuple[Array, str | None]:
    """Return the values in the order of the pairs, and what a header calls them if it says what they are.

    Row by row, so that an error can name its line.
    """
    values, count, said = np.empty(len(pairs)), 0, None
    order: _Order | None = None
    width = 0
    for place, row in enumerate(read_rows(path)):
        cells = [cell.strip() for cell in row.cells]
        if place == 0:
            width = len(cells)
            order = _Order(path, pairs, split) if width == 3 else None
            if not _is_number(cells[-1]):
                said = cells[-1].lower() if cells[-1].lower() in VALUES else None
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
        raise DataError(f"{path}: wanted {len(pairs)} values, one per pair, got {count}.")
    return values, said


class _Order:
    """Finds the pair that a row names, each as often as it is in the list."""

    def __init__(self, path: Path, pairs: Pairs, split: Split) -> None:
        ids = split.ids.tolist()
        self._path = path
        self._left: dict[tuple[str, str], list[int]] = {}
        for place, (a, b) in enumerate(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)):
            self._left.setdefault((ids[a], ids[b]), []).append(place)

    def place_of(self, row: Row, cells: list[str]) -> int:
        one, other = cells[:2]
        places = self._left.get((one, other)) or self._left.get((other, one))
        if not places:
            named = f"{one},{other}"[:120]
            raise DataError(f"{self._path}, line {row.line}: {named!r} is not a pair of the list, or is given twice.")
        return places.pop(0)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
