"""JSON lists of uniform objects as columns, without a Python object per record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import Array
from mlcvbench.limits import MIB

SMALL = MIB
"""A file up to this size is read by orjson, which is fast enough and avoids importing pyarrow's reader."""
_BLOCK = 4 * MIB
_THREADS = 2
_JOINT = re.compile(rb"\}\s*,\s*\{")


def plain(column: Any, kind: str) -> Array:
    """Return a pyarrow column of numbers without nulls as an array of the numpy dtype `kind`, which must be its own.

    pyarrow's own `to_numpy` imports pandas, which takes longer than reading the file.
    """
    chunks = column.chunks if hasattr(column, "chunks") else [column]
    parts = [
        np.frombuffer(part.buffers()[1], kind)[part.offset : part.offset + len(part)] for part in chunks if len(part)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0, kind), *parts])


def give_back() -> None:
    """Return pyarrow's free memory to the system, since an engine will need as much."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


class JsonTable:
    """Columns of records; a field that a record lacks is null."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self.rows: int = table.num_rows

    def nulls(self, name: str) -> int:
        """Return how many records have no such field."""
        return int(self._table.column(name).null_count)

    def numbers(self, name: str) -> Array:
        """Return a column of numbers (N,)."""
        return plain(self._table.column(name), "f8" if name == "score" else "i8")

    def rectangle(self, name: str, width: int, member: str | None = None) -> Array | None:
        """Return a column of lists of equal length (N, width); None when some list is missing or of another length."""
        column = self._member(name, member)
        flat = column.combine_chunks()
        if flat.null_count or flat.values.null_count:
            return None
        offsets = plain(flat.offsets, "i4")
        if not (np.diff(offsets) == width).all():
            return None
        values = plain(flat.values, "f8" if member is None else "i8")
        return values[offsets[0] : offsets[-1]].reshape(-1, width)

    def text(self, name: str, member: str) -> tuple[Array, Array] | None:
        """Return the characters of a column of text, uint8 (B,), and where each begins (N + 1,); None when missing."""
        import pyarrow as pa

        column = self._member(name, member)
        if column.null_count:
            return None
        flat = column.cast(pa.large_binary()).combine_chunks()
        _, offsets, data = flat.buffers()
        starts = np.frombuffer(offsets, dtype=np.int64)[flat.offset : flat.offset + len(flat) + 1]
        characters = np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, np.uint8)
        return characters[starts[0] : starts[-1]], starts - starts[0]

    def _member(self, name: str, member: str | None) -> Any:
        column = self._table.column(name)
        if member is None:
            return column
        names = [field.name for field in column.type]
        return column.flatten()[names.index(member)]  # a missing object is a missing member


def read_json_table(path: Path) -> JsonTable | None:
    """Return COCO results as columns; None when the file is not a list of records of the usual types."""
    import pyarrow as pa
    from pyarrow import json

    schema = pa.schema(
        [
            ("image_id", pa.int64()),
            ("category_id", pa.int64()),
            ("score", pa.float64()),
            ("bbox", pa.list_(pa.float64())),
            ("segmentation", pa.struct([("size", pa.list_(pa.int64())), ("counts", pa.string())])),
        ]
    )
    parse = json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")

    def parsed(lines: bytes) -> Any:
        options = json.ReadOptions(use_threads=False, block_size=len(lines) + 1)
        return json.read_json(pa.BufferReader(lines), read_options=options, parse_options=parse)

    blocks = _line_blocks(path)
    tables = []
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: list[Any] = []
        try:
            for lines in blocks:
                waiting.append(pool.submit(parsed, lines))
                if len(waiting) > _THREADS:
                    tables.append(waiting.pop(0).result())
            tables += [future.result() for future in waiting]
        except (pa.ArrowInvalid, NotUniformError):
            return None
    return JsonTable(pa.concat_tables(tables)) if tables else None


class NotUniformError(Exception):
    """The file is not a list of records one after the other."""


def _line_blocks(path: Path) -> Iterator[bytes]:
    """Yield the records of a list, one per line, in blocks of some MB."""
    with path.open("rb") as file:
        rest = file.read(_BLOCK).lstrip()
        found = _JOINT.search(rest)
        if not rest.startswith(b"[") or found is None:
            raise NotUniformError
        joint, rest = found[0], rest[1:]
        while True:
            more = file.read(_BLOCK)
            if not more:
                break
            rest += more
            cut = rest.rfind(joint)
            if cut >= 0:
                yield rest[: cut + 1].replace(joint, b"}\n{")
                rest = rest[cut + len(joint) - 1 :]
            elif len(rest) > 16 * _BLOCK:
                raise NotUniformError
    rest = rest.rstrip()
    if not rest.endswith(b"]"):
        raise NotUniformError
    yield rest[:-1].replace(joint, b"}\n{")


def are_numbers(names: Array) -> bool:
    """Return whether all ids (U,) are written as plain integers of up to 18 digits.

    >>> are_numbers(np.array(["7", "-12"])), are_numbers(np.array(["7", "012"])), are_numbers(np.array(["7", "a"]))
    (True, False, False)
    """
    text = np.asarray(names).astype(np.str_)
    try:
        numbers = text.astype(np.int64)
    except (ValueError, OverflowError):
        return False
    short = (numbers < 10**18) & (numbers > -(10**18))
    return bool((short & (numbers.astype(np.str_) == text)).all())
