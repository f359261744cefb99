"""The fast path for a results file of uniform records: find the numbers and parse them in place.

Programs write results with one template, so a file repeats the same characters with other numbers in between. Two
properties prove it, block by block, without parsing: without the numbers, the rest is the template repeated; and each
number lasts until the template's gap before the next one. Then pyarrow casts the text of each number, in place and
correctly rounded. A file that fails any of this is not an error: it is read the general way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlcvbench.contract import Array
from mlcvbench_detection.coco.json_columns import NotUniformError, plain

_BLOCK = 1 << 18
"""Bytes of a block: arrays of this size stay in the cache, and their memory is reused."""
_JOINT = re.compile(rb"\}(\s*,\s*)\{")
_KEY = re.compile(r"[A-Za-z_]+")
_NUMBER = b"0123456789.-"
WAITING = 2
"""The most blocks that wait for the parser, to bound memory."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The template of a file: what joins two records, and a joint and record without its `width` numbers.

    `head`: characters before the first number. `gaps` int64 (width,): characters after each number up to the next one.
    `fields`: index of the first number of each field, and how many it has.
    """

    joint: bytes
    unit: bytes
    head: int
    gaps: Array
    width: int
    fields: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class _Block:
    """Records as text; `bounds` int32 (2 * numbers + 1,): where numbers and gaps begin alternately, and the end."""

    text: bytes
    bounds: Array


def read_uniform(path: Path) -> dict[str, Array] | None:
    """Return image_id, category_id int64 (N,), score float64 (N,) and bbox float64 (N, 4) in the file's order.

    None when the file is not a list of records of one form with exactly these kinds of values.
    """
    import pyarrow as pa

    with path.open("rb") as file:
        head = file.read(_BLOCK)
    layout = learn(head)
    if layout is None:
        return None
    columns = _Columns.room_for(path.stat().st_size, layout)
    waiting: list[Future[dict[str, Array]]] = []
    with ThreadPoolExecutor(1) as pool:
        try:
            for text in _blocks(path, layout.joint):
                block = _find_numbers(text, layout)
                if block is None:
                    return None
                waiting.append(pool.submit(_read_numbers, block, layout))
                if len(waiting) > WAITING:
                    columns.add(waiting.pop(0).result())
            for future in waiting:
                columns.add(future.result())
        except (pa.ArrowInvalid, NotUniformError):
            return None
    return columns.filled()


class _Columns:
    """Columns with room for all records a file may hold; memory that is never written is not allocated."""

    def __init__(self, columns: dict[str, Array]) -> None:
        self._columns, self._rows = columns, 0

    @classmethod
    def room_for(cls, size: int, layout: Layout) -> _Columns:
        """Return empty columns; a record has at least its template and one character per number."""
        rows = size // (len(layout.unit) + layout.width) + 1
        return cls({name: np.empty((rows, count), dtype=_kind(name)) for name, (_, count) in layout.fields.items()})

    def add(self, part: dict[str, Array]) -> None:
        """Append records."""
        first = self._rows
        for name, values in part.items():
            self._rows = first + len(values)
            for target, source in zip(self._columns[name].T, values.T, strict=True):
                target[first : self._rows] = source

    def filled(self) -> dict[str, Array]:
        """Return the columns of the records added so far."""
        filled = {name: values[: self._rows] for name, values in self._columns.items()}
        return {name: values if name == "bbox" else values[:, 0] for name, values in filled.items()}


def _kind(field: str) -> str:
    return "i8" if field.endswith("_id") else "f8"


def learn(head: bytes) -> Layout | None:
    """Return the layout of a file that begins with `head`; None when its first record is unsuitable."""
    import orjson

    start, joint = head.find(b"{"), _JOINT.search(head)
    if joint is None or head[:start].strip() != b"[":
        return None
    record = head[start : joint.start() + 1]
    try:
        content = orjson.loads(record)
    except orjson.JSONDecodeError:
        return None
    fields: dict[str, tuple[int, int]] = {}
    width = 0
    for name, value in content.items():
        values = value if isinstance(value, list) else [value]
        if not _KEY.fullmatch(name) or not values or any(type(number) not in {int, float} for number in values):
            return None
        fields[name] = (width, len(values))
        width += len(values)
    wanted = {"image_id": 1, "category_id": 1, "score": 1, "bbox": 4}
    if any(fields.get(name, (0, 0))[1] != count for name, count in wanted.items()) or record.count(b",") != width - 1:
        return None
    text = joint[1] + record
    rest, number = _split(text)
    edges = np.flatnonzero(number[1:] != number[:-1]) + 1  # where numbers and gaps begin alternately
    if len(edges) != 2 * width:
        return None
    gaps = np.append(edges[2::2], len(text) + edges[0]) - edges[1::2]  # as if another record followed
    return Layout(joint[1], rest, int(edges[0]), gaps, width, {name: fields[name] for name in wanted})


def _blocks(path: Path, joint: bytes) -> Iterator[bytes]:
    """Yield the records in blocks, each record preceded by a joint."""
    between = b"}" + joint + b"{"
    with path.open("rb") as file:
        rest = joint + file.read(_BLOCK).lstrip()[1:].lstrip()
        while more := file.read(_BLOCK):
            rest += more
            cut = rest.rfind(between) + 1
            if cut:
                yield rest[:cut]
                rest = rest[cut:]
    body = rest.rstrip()
    if not body.endswith(b"]"):
        raise NotUniformError
    yield body[:-1].rstrip()


def _find_numbers(text: bytes, layout: Layout) -> _Block | None:
    """Return a block with the positions of its numbers; None when it does not follow the layout."""
    rest, number = _split(text)
    count = len(rest) // len(layout.unit)
    starts = np.flatnonzero(number[1:] > number[:-1])
    starts += 1
    if rest != layout.unit * count or len(starts) != layout.width * count or starts[0] != layout.head:
        return None
    bounds = np.empty(2 * len(starts) + 1, dtype=np.int32)
    bounds[:-1:2] = starts
    bounds[1:-1:2] = (np.append(starts[1:], len(text) + layout.head).reshape(-1, layout.width) - layout.gaps).ravel()
    bounds[-1] = len(text)
    # From one start to the next are one number and one gap. If no number ends before the gap of the template begins,
    # none ends after it either, since all gaps together are as long as the rest.
    return _Block(text, bounds) if number[bounds[1::2] - 1].all() else None


def _split(text: bytes) -> tuple[bytes, Array]:
    """Return a text without its numbers, and where they are, bool (characters,)."""
    codes = np.frombuffer(text, dtype=np.uint8)
    above = codes - np.uint8(ord("-"))
    signs = np.flatnonzero(above == 0 if b"+" not in text else (above == 0) | (codes == ord("+")))
    signs = signs[codes[signs - 1] | 0x20 == ord("e")]  # of exponents; another plus shows in the rest
    if len(signs):
        codes = codes.copy()
        codes[signs] = codes[signs - 1] = ord("0")
        text, above = codes.tobytes(), codes - np.uint8(ord("-"))
    return text.translate(None, _NUMBER), above <= ord("9") - ord("-")  # a slash, between them, shows in the rest


def _read_numbers(block: _Block, layout: Layout) -> dict[str, Array]:
    """Return the fields of the records of a block: int64 or float64 (N, numbers of the field)."""
    return _cast(block, layout, "i8") | _cast(block, layout, "f8")


def _cast(block: _Block, layout: Layout, kind: str) -> dict[str, Array]:
    """Return the fields of one kind, ids as i8 and others as f8; ArrowInvalid when one is not such a number.

    Numbers and gaps are the texts of one array, in which all but the wanted ones are null and not parsed.
    """
    import pyarrow as pa

    fields = {name: field for name, field in layout.fields.items() if _kind(name) == kind}
    wanted = np.zeros((layout.width, 2), dtype=bool)
    for first, count in fields.values():
        wanted[first : first + count, 0] = True
    size = len(block.bounds) - 1
    eight = np.packbits(np.tile(wanted.ravel(), 8), bitorder="little").tobytes()
    valid = eight * (size // (8 * len(eight)) + 1)
    buffers = [pa.py_buffer(part) for part in (valid, block.bounds, block.text)]
    numbers = pa.Array.from_buffers(pa.string(), size, buffers).cast(pa.int64() if kind == "i8" else pa.float64())
    table = plain(numbers, kind).reshape(-1, 2 * layout.width)
    return {name: table[:, 2 * first : 2 * (first + count) : 2] for name, (first, count) in fields.items()}
