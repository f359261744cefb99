"""The quick way through a results file whose records all look alike: strip what repeats, read the rest as CSV.

Programs write results with one template, so a file is the same few characters again and again with other numbers in
between. Two things prove it, block by block, without parsing: with the numbers taken out, the rest is the template
repeated; and there are as many numbers as the template has places, none of them empty. Then what is left after taking
the template out is a table, and pyarrow's CSV reader turns it into columns, correctly rounded. A file that fails any of
this is no error: it is read the general way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import Array
from mlcvbench_detection.json_table import NotUniformError, plain

_BLOCK = 1 << 20
_JOINT = re.compile(rb"\}(\s*,\s*)\{")
_KEY = re.compile(r"[A-Za-z_]+")
_DIGITS = b"0123456789.+-"
_EXPONENT = b"\x01"
"""Stands for the `e` of a number such as 5e-05 while the letters of the template are told from numbers."""
_NUMBER = _DIGITS + _EXPONENT
_IS_NUMBER = bytes(int(code in _NUMBER) for code in range(256))
_TO_CSV = bytes({ord("}"): 10, _EXPONENT[0]: ord("e")}.get(code, code) for code in range(256))
_TEMPLATE = bytes(code for code in range(256) if code not in _NUMBER + b",}")
WAITING = 2
"""Blocks that may wait for the parser, so that memory stays small."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The template of a file: what joins two records, a joint and record without its numbers, and where fields are.

    `fields`: place of the first number of each field among the `width` numbers of a record, and how many it has.
    """

    joint: bytes
    unit: bytes
    fields: dict[str, tuple[int, int]]
    width: int


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
    waiting: list[Future[Any]] = []
    tables = []
    with ThreadPoolExecutor(1) as pool:
        try:
            for block in _blocks(path, layout.joint):
                text = _csv(block, layout)
                if text is None:
                    return None
                waiting.append(pool.submit(_parse, text, layout))
                if len(waiting) > WAITING:
                    tables.append(waiting.pop(0).result())
            tables += [future.result() for future in waiting]
        except (pa.ArrowInvalid, NotUniformError):
            return None
    if any(column.null_count for table in tables for column in table.columns):
        return None
    return _columns(pa.concat_tables(tables))


def learn(head: bytes) -> Layout | None:
    """Return the layout of a file that begins with `head`; None when its first record does not suit."""
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
    unit = _mark_exponents(joint[1] + record).translate(None, _NUMBER)
    return Layout(joint[1], unit, {name: fields[name] for name in wanted}, width)


def _blocks(path: Path, joint: bytes) -> Iterator[bytes]:
    """Yield the records in blocks, a joint before each of them."""
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


def _csv(block: bytes, layout: Layout) -> bytes | None:
    """Return the numbers of a block as lines that begin with a comma; None when it does not follow the layout."""
    if _EXPONENT in block:
        return None
    block = _mark_exponents(block)
    rest = block.translate(None, _NUMBER)
    count, over = divmod(len(rest), len(layout.unit))
    if over or rest != layout.unit * count:
        return None
    numbers = np.frombuffer(block.translate(_IS_NUMBER), dtype=np.uint8)
    if np.count_nonzero(numbers[1:] > numbers[:-1]) != count * layout.width:
        return None
    return block.translate(_TO_CSV, _TEMPLATE)


def _mark_exponents(block: bytes) -> bytes:
    """Return the block with the `e` of signed exponents replaced."""
    codes = np.frombuffer(block, dtype=np.uint8)
    signs = np.flatnonzero((codes == ord("-")) | (codes == ord("+")))
    before = signs[(codes[signs - 1] | 0x20) == ord("e")] - 1
    if not len(before):
        return block
    marked = codes.copy()
    marked[before] = _EXPONENT[0]
    return marked.tobytes()


def _parse(text: bytes, layout: Layout) -> Any:
    import pyarrow as pa
    from pyarrow import csv

    names = ["", *map(str, range(layout.width))]  # lines begin with a comma
    kinds: dict[str, Any] = {}
    for name, (first, count) in layout.fields.items():
        kind = pa.int64() if name.endswith("_id") else pa.float64()
        kinds |= {str(first + place): kind for place in range(count)}
    return csv.read_csv(
        pa.BufferReader(text),
        read_options=csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=names),
        convert_options=csv.ConvertOptions(column_types=kinds, include_columns=list(kinds)),
    )


def _columns(table: Any) -> dict[str, Array]:
    """Return the columns by name, in the order image_id, category_id, score, bbox."""
    image, category, score, *sides = (table.column(place) for place in range(table.num_columns))
    bbox = np.empty((table.num_rows, 4))
    for side, column in enumerate(sides):
        bbox[:, side] = plain(column, "f8")
    whole = {"image_id": plain(image, "i8"), "category_id": plain(category, "i8")}
    return {**whole, "score": plain(score, "f8"), "bbox": bbox}
