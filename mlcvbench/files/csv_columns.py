"""CSV files from outside, row by row with line numbers, within bounds; one row is in memory at a time."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mlcvbench.errors import DataError
from mlcvbench.files.text_lines import text_lines
from mlcvbench.limits import MAX_CSV_FIELD


class Row(NamedTuple):
    """The cells of a row and the line on which it ends."""

    line: int
    cells: list[str]


class CsvTable(NamedTuple):
    """A table with a header. `rows` have as many cells as the header."""

    header: list[str]
    rows: Iterator[Row]


def read_table(path: Path) -> CsvTable:
    """Return the header of a CSV file and its rows, read on demand. DataError as in `read_rows`."""
    rows = read_rows(path)
    header = next(rows, None)
    if header is None:
        raise DataError(f"{path}: is empty; wanted a header line.")
    return CsvTable(header.cells, _same_width(path, rows, len(header.cells)))


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a CSV file with or without a header; blank lines are left out.

    The file is UTF-8, with or without a byte-order mark, its lines end in LF or CRLF, and fields may be quoted.
    DataError names file and line: not UTF-8, a NUL, a line or field that is too long, broken quotes.
    """
    reader = csv.reader(text_lines(path), strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: {error}.") from None
        if len(cells) > 1 or "".join(cells).strip():
            if len(max(cells, key=len)) > MAX_CSV_FIELD:
                raise DataError(f"{path}, line {reader.line_num}: a field is longer than {MAX_CSV_FIELD} characters.")
            yield Row(reader.line_num, cells)


def _same_width(path: Path, rows: Iterator[Row], width: int) -> Iterator[Row]:
    for row in rows:
        if len(row.cells) != width:
            raise DataError(f"{path}, line {row.line}: wanted {width} cells like the header, got {len(row.cells)}.")
        yield row
