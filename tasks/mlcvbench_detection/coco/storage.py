"""Predictions as COCO results JSON, written column by column and read back bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import Array, Predictions
from mlcvbench_detection.coco.json_columns import are_numbers, give_back
from mlcvbench_detection.geometry.ragged import Ragged, starts_of
from mlcvbench_detection.geometry.rle import Masks, encode_text

_ROWS_AT_ONCE = 1 << 14


def write_results(path: Path, predictions: Predictions, ids: Array) -> None:
    """Write `predictions.json`: one record per detection, by image, in the order of `predictions`.

    Numbers are the shortest text that reads back as the same float64. Equal predictions give equal bytes.
    """
    scores, labels = predictions["scores"], predictions["labels"]
    names = _image_names(ids)
    published = np.asarray(labels.published, dtype=np.int64)
    units = scores.units
    with path.open("wb") as file:
        file.write(b"[")
        for start in range(0, len(scores.values), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            parts: list[Any] = ['{"image_id": ', names.take(_arrow(units[rows]))]
            parts += [', "category_id": ', _numbers(published[labels.values[rows]])]
            if "xywh" in predictions:
                parts += [', "bbox": [', *_box(predictions["xywh"], rows), "]"]
            if "masks" in predictions:
                parts += _mask(predictions["masks"].values[rows])
            parts += [', "score": ', _numbers(scores.values[rows]), "}"]
            file.write((b",\n" if start else b"\n") + _joined(parts))
        file.write(b"\n]\n")
    give_back()


def _joined(parts: Sequence[Any]) -> bytes:
    """Return lines joined from constant text and columns of text."""
    import pyarrow as pa
    from pyarrow import compute

    columns = [_texts([part])[0] if isinstance(part, str) else part for part in (*parts, "")]
    lines = compute.binary_join_element_wise(*columns)
    everything = pa.ListArray.from_arrays(_arrow(np.array([0, len(lines)])).cast(pa.int32()), lines)
    joined: bytes = compute.binary_join(everything, _texts([",\n"])[0])[0].as_buffer().to_pybytes()
    return joined


def _box(boxes: Ragged, rows: slice) -> list[Any]:
    columns = [_numbers(column) for column in boxes.values[rows].T]
    return [columns[0], ", ", columns[1], ", ", columns[2], ", ", columns[3]]


def _mask(masks: Masks) -> list[Any]:
    import pyarrow as pa
    from pyarrow import compute

    text, starts = encode_text(masks)
    counts = pa.LargeStringArray.from_buffers(len(masks), pa.py_buffer(starts.astype(np.int64)), pa.py_buffer(text))
    escaped = compute.replace_substring(counts.cast(pa.string()), "\\", "\\\\")
    height, width = (_numbers(side) for side in masks.size.T)
    return [', "segmentation": {"size": [', height, ", ", width, '], "counts": "', escaped, '"}']


def _numbers(values: Array) -> Any:
    import pyarrow as pa

    return _arrow(values).cast(pa.string())


def _arrow(values: Array) -> Any:
    """Return a pyarrow array over the same memory; `pa.array` would import pandas."""
    import pyarrow as pa

    kind = pa.int64() if values.dtype.kind == "i" else pa.float64()
    exact = np.ascontiguousarray(values, dtype="i8" if values.dtype.kind == "i" else "f8")
    return pa.Array.from_buffers(kind, len(exact), [None, pa.py_buffer(exact)])


def _image_names(ids: Array) -> Any:
    """Return the image ids as JSON, numbers where all of them are."""
    import orjson

    numbered = are_numbers(ids)
    return _texts([str(name) if numbered else orjson.dumps(str(name)).decode() for name in ids])


def _texts(values: Sequence[str]) -> Any:
    """Return a pyarrow array of text; `pa.array` and `pa.scalar` would import pandas."""
    import pyarrow as pa

    coded = [value.encode() for value in values]
    offsets = starts_of(np.array([len(value) for value in coded], dtype=np.int64)).astype(np.int32)
    return pa.StringArray.from_buffers(len(coded), pa.py_buffer(offsets), pa.py_buffer(b"".join(coded)))
