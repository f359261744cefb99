"""CSV files from elsewhere: a header and rows with their line numbers, within bounds."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from mlcvbench.errors import DataError
from mlcvbench.limits import MAX_CSV_FIELD, MIB

MAX_LINE_BYTES = 8 * MIB


class Row(NamedTuple):
    """The cells of a row and the line on which it ends."""

    line: int
    cells: list[str]


class CsvTable(NamedTuple):
    """An open table. `rows` have as many cells as the header; blank lines are left out."""

    header: list[str]
    rows: Iterator[Row]


@contextmanager
def open_table(path: Path) -> Iterator[CsvTable]:
    """Open a UTF-8 CSV file, with or without a byte-order mark, lines ending in LF or CRLF.

    DataError names file and line: not UTF-8, a NUL, a line or field that is too long, broken quotes, a wrong number of
    cells, no header.
    """
    try:
        with path.open("rb") as file:
            rows = _rows(path, file)
            header = next(rows, None)
            if header is None:
                raise DataError(f"{path}: is empty; wanted a header line.")
            yield CsvTable(header.cells, _same_width(path, rows, len(header.cells)))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None


def _rows(path: Path, file: IO[bytes]) -> Iterator[Row]:
    reader = csv.reader(_lines(path, file), strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: {error}.") from None
        if cells:
            if len(max(cells, key=len)) > MAX_CSV_FIELD:
                raise DataError(f"{path}, line {reader.line_num}: a field is longer than {MAX_CSV_FIELD} characters.")
            yield Row(reader.line_num, cells)


def _same_width(path: Path, rows: Iterator[Row], width: int) -> Iterator[Row]:
    for row in rows:
        if len(row.cells) != width:
            raise DataError(f"{path}, line {row.line}: wanted {width} cells like the header, got {len(row.cells)}.")
        yield row


def _lines(path: Path, file: IO[bytes]) -> Iterator[str]:
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise DataError(f"{path}, line {number}: is longer than {MAX_LINE_BYTES} bytes.")
        if b"\0" in line:
            raise DataError(f"{path}, line {number}: holds a NUL byte; wanted text.")
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise DataError(f"{path}, line {number}: is not UTF-8 text.") from None
