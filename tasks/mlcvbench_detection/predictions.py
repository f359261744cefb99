"""The output of a detector, its checks, and the form in which it is stored and scored.

A model returns, for each image of a batch, `boxes` (n, 4) as [x1, y1, x2, y2] in pixels of the original image
(continuous: a box's width is x2 - x1), `scores` (n,), `labels` (n,) and, for instance segmentation, `masks`: bool
(n, height, width), or n COCO objects {"size": [height, width], "counts": ...}. Each is a list with one entry per image.
With `masks` the boxes may be omitted. A method that chooses among regions of any class first may return them too, best
first: `proposals` (p, 4). They are not stored, but their recall is shown.

Boxes and scores are rounded to float32, then kept as float64 [x, y, width, height] and scores, which hold float32
exactly and match COCO's files. So predictions read from a file keep their published numbers: a box of 32 x 32 pixels at
x = 10.1 has float32 corners that are 31.999998 apart, which is another area range.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlcvbench.contract import Array, Predictions, Problem
from mlcvbench.errors import PredictionError
from mlcvbench_detection.geometry.boxes import to_xywh
from mlcvbench_detection.geometry.masks import read_segmentation
from mlcvbench_detection.geometry.ragged import Labels, Ragged, pick, starts_of
from mlcvbench_detection.geometry.rle import BadMask, Masks, encode_dense

FARTHEST = 1e7
"""The largest allowed coordinate; beyond, float64 areas lose whole pixels."""


class RaggedMasks:
    """The masks of U images: `values`, and `starts` int64 (U + 1,) as in `Ragged`."""

    __slots__ = ("starts", "values")

    def __init__(self, values: Masks, starts: Array) -> None:
        self.values, self.starts = values, starts

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int | slice | Array | Sequence[int]) -> Any:
        if isinstance(index, int | np.integer):
            return self.values[int(self.starts[index]) : int(self.starts[index + 1])]
        picked, starts = pick(self.starts, index)
        return RaggedMasks(self.values[picked], starts)


def check_predictions(predictions: Predictions, ids: Array, problem: Problem) -> Predictions:
    """Return the checked columns `xywh`, `scores`, `labels` and, if given, `masks` of a batch.

    PredictionError names the field, the sample, what was wanted and what was got.
    """
    if not isinstance(predictions, dict):
        raise PredictionError(f"predictions: wanted a dict of lists, got {type(predictions).__name__}.")
    if "xywh" in predictions or isinstance(predictions.get("masks"), RaggedMasks):
        return _check_stored(predictions, ids, problem)
    missing = [name for name in ("scores", "labels") if name not in predictions]
    if not {"boxes", "masks"} & set(predictions):
        missing.insert(0, "boxes")
    if missing:
        got = ", ".join(sorted(map(str, predictions))) or "nothing"
        raise PredictionError(f"predictions have no field {missing[0]!r}; got {got}.")
    scores = _column(predictions, "scores", ids, (), "float32")
    checked: Predictions = {
        "scores": Ragged(scores.values.astype(np.float64), scores.starts),
        "labels": _labels(_column(predictions, "labels", ids, (), "int64"), ids, problem),
    }
    if "boxes" in predictions:
        corners = _column(predictions, "boxes", ids, (4,), "float32")
        checked["xywh"] = _sizes(Ragged(to_xywh(corners.values), corners.starts), ids)
    if "masks" in predictions:
        checked["masks"] = _masks(predictions["masks"], ids)
    _check_counts(checked, ids)
    return checked | _proposals(predictions, ids)


def join_predictions(parts: Sequence[Predictions]) -> Predictions:
    """Join checked batches; PredictionError when some have masks or boxes and others do not."""
    fields = {frozenset(part) for part in parts}
    if len(fields) > 1:
        named = sorted(", ".join(sorted(names)) for names in fields)
        raise PredictionError(f"predictions change their fields between batches: {' / '.join(named)}.")
    joined: Predictions = {}
    for name in parts[0]:
        columns = [part[name] for part in parts]
        starts = starts_of(np.concatenate([np.diff(column.starts) for column in columns]))
        if name == "labels":
            values = np.concatenate([column.values for column in columns])
            joined[name] = Labels(values, starts, columns[0].published)
        elif name == "masks":
            joined[name] = RaggedMasks(Masks.join([column.values for column in columns]), starts)
        else:
            joined[name] = Ragged(np.concatenate([column.values for column in columns]), starts)
    return joined


def _check_stored(predictions: Predictions, ids: Array, problem: Problem) -> Predictions:
    checked: Predictions = {
        "scores": _column(predictions, "scores", ids, (), "float64"),
        "labels": _labels(_column(predictions, "labels", ids, (), "int64"), ids, problem),
    }
    if "xywh" in predictions:
        checked["xywh"] = _sizes(_column(predictions, "xywh", ids, (4,), "float64"), ids)
    if "masks" in predictions:
        checked["masks"] = predictions["masks"]
    _check_counts(checked, ids)
    return checked | _proposals(predictions, ids)


def _column(predictions: Predictions, name: str, ids: Array, shape: tuple[int, ...], dtype: str) -> Ragged:
    """Return a finite column of `dtype`."""
    column = predictions[name]
    _check_length(column, name, ids)
    kinds = "iu" if dtype == "int64" else "fiu"
    wanted = f"{dtype} ({', '.join(['n', *map(str, shape)])}{',' if not shape else ''})"
    if isinstance(column, Ragged):
        values, starts = column.values, column.starts
        if values.shape[1:] != shape or values.dtype.kind not in kinds:
            raise PredictionError(f"field {name!r}: wanted {wanted} per image, got {values.dtype} {values.shape}.")
    else:
        parts = [_part(part, name, str(ids[row]), shape, kinds, wanted) for row, part in enumerate(column)]
        values = np.concatenate(parts) if parts else np.zeros((0, *shape))
        starts = starts_of(np.array([len(part) for part in parts], dtype=np.int64))
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which the check refuses
        values = values.astype(dtype)
    bad = ~np.isfinite(values) if values.dtype.kind == "f" else np.zeros(0, dtype=bool)
    if bad.any():
        row = int(np.argmax(bad.reshape(len(values), -1).any(axis=1)))
        raise PredictionError(
            f"field {name!r}, {_where(starts, row, ids)}: wanted finite numbers, got {values[bad][0]}."
        )
    return Ragged(values, starts)


def _part(part: Any, name: str, sample: str, shape: tuple[int, ...], kinds: str, wanted: str) -> Array:
    array = np.asarray(part)
    if array.size == 0:
        return np.zeros((0, *shape))
    if array.dtype.kind not in kinds or array.shape[1:] != shape or array.ndim != len(shape) + 1:
        raise PredictionError(f"field {name!r}, sample {sample!r}: wanted {wanted}, got {array.dtype} {array.shape}.")
    return array


def _proposals(predictions: Predictions, ids: Array) -> Predictions:
    """Return the column of proposals, corners float32; nothing where a model gives none."""
    if "proposals" not in predictions:
        return {}
    corners = _column(predictions, "proposals", ids, (4,), "float32")
    _sizes(Ragged(to_xywh(corners.values), corners.starts), ids, "proposals")
    return {"proposals": corners}


def category_ids(problem: Problem) -> tuple[int, ...]:
    """Return the published id of each class: those of the annotation file, else 1, 2, 3 ..."""
    return tuple(problem.extra.get("category_ids") or range(1, len(problem.classes) + 1))


def _labels(labels: Ragged, ids: Array, problem: Problem) -> Labels:
    outside = (labels.values < 0) | (labels.values >= len(problem.classes))
    if outside.any():
        row = int(np.argmax(outside))
        raise PredictionError(
            f"field 'labels', {_where(labels.starts, row, ids)}: wanted 0 to {len(problem.classes) - 1}, "
            f"got {labels.values[row]}."
        )
    return Labels(labels.values, labels.starts, category_ids(problem))


def _sizes(xywh: Ragged, ids: Array, name: str = "boxes") -> Ragged:
    wrong = (xywh.values[:, 2:] < 0).any(axis=1) | (np.abs(xywh.values) > FARTHEST).any(axis=1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise PredictionError(
            f"field {name!r}, {_where(xywh.starts, row, ids)}: wanted x1 <= x2 and y1 <= y2, all within {FARTHEST:g} "
            f"pixels, got x1, y1, width, height {xywh.values[row].tolist()}."
        )
    return xywh


def _masks(column: Any, ids: Array) -> RaggedMasks:
    """Return the masks given as dense arrays or as COCO objects."""
    _check_length(column, "masks", ids)
    parts, counts = [], []
    for row, given in enumerate(column):
        if isinstance(given, np.ndarray):
            if given.ndim != 3 or given.dtype.kind not in "bu":
                raise PredictionError(
                    f"field 'masks', sample {str(ids[row])!r}: wanted bool (n, height, width), "
                    f"got {given.dtype} {given.shape}."
                )
            parts.append(encode_dense(given))
            counts.append(len(given))
            continue
        for number, mask in enumerate(given):
            size = mask.get("size") if isinstance(mask, dict) else None
            good = isinstance(size, list | tuple) and len(size) == 2 and all(type(side) is int for side in size)
            read = (
                read_segmentation({**mask, "size": list(size)}, *size)
                if good and size is not None
                else BadMask(0, "wanted an object with size [height, width] and counts")
            )
            if isinstance(read, BadMask):
                raise PredictionError(f"field 'masks', sample {str(ids[row])!r}, mask {number}: {read.reason}.")
            parts.append(read)
        counts.append(len(given))
    return RaggedMasks(Masks.join(parts), starts_of(np.array(counts, dtype=np.int64)))


def _check_length(column: Any, name: str, ids: Array) -> None:
    if not isinstance(column, Ragged | RaggedMasks | list | tuple):
        raise PredictionError(f"field {name!r}: wanted a list with one entry per image, got {type(column).__name__}.")
    if len(column) != len(ids):
        raise PredictionError(f"field {name!r}: wanted {len(ids)} samples, got {len(column)}.")


def _check_counts(checked: Predictions, ids: Array) -> None:
    wanted = np.diff(checked["scores"].starts)
    for name, column in checked.items():
        got = np.diff(column.starts)
        if not np.array_equal(got, wanted):
            row = int(np.argmax(got != wanted))
            what = "boxes" if name == "xywh" else name
            raise PredictionError(f"sample {str(ids[row])!r}: has {wanted[row]} scores but {got[row]} {what}.")


def _where(starts: Array, row: int, ids: Array) -> str:
    unit = int(np.searchsorted(starts, row, side="right")) - 1
    return f"sample {str(ids[unit])!r}, detection {row - int(starts[unit])}"
