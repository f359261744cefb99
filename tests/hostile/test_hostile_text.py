"""Text and CSV from elsewhere: rows as they are written, or one sentence with file and line."""

from __future__ import annotations

import contextlib
import gzip
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.mutations import assert_one_line_about, mutations

from mlcvbench.errors import DataError, MlcvbenchError
from mlcvbench.files import csv_columns, text_lines
from mlcvbench.files.csv_columns import read_rows, read_table
from mlcvbench.files.text_lines import Line, read_lines, read_names
from mlcvbench.limits import MAX_CSV_FIELD, MAX_LINE_BYTES

TABLE = b'id,name\na,"x, y"\nb,"1\n2"\n\nc,z\n'


def file(folder: Path, raw: bytes) -> Path:
    path = folder / "t.csv"
    path.write_bytes(raw)
    return path


def message(action) -> str:
    with pytest.raises(MlcvbenchError) as caught:
        action()
    return str(caught.value)


@pytest.mark.parametrize(
    "raw", [TABLE, b"\xef\xbb\xbf" + TABLE, TABLE.replace(b"\n", b"\r\n")], ids=["lf", "bom", "crlf"]
)
def test_rows_keep_quoted_commas_and_the_line_they_end_on(tmp_path, raw):
    table = read_table(file(tmp_path, raw))

    rows = [(line, [cell.replace("\r\n", "\n") for cell in cells]) for line, cells in table.rows]

    assert table.header == ["id", "name"]
    assert rows == [(2, ["a", "x, y"]), (4, ["b", "1\n2"]), (6, ["c", "z"])]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", ": is empty; wanted a header line."),
        (b"\n \n", ": is empty; wanted a header line."),
        (b"a,b\n1,2\n3\n", ", line 3: wanted 2 cells like the header, got 1."),
        (b"a,b\n1,2,3\n", ", line 2: wanted 2 cells like the header, got 3."),
        (b'a,b\n"1,2\n', ", line 2: unexpected end of data."),
        (b'a,b\n"1"x,2\n', ", line 2: ',' expected after '\"'."),
        (b"a,b\n1\0,2\n", ", line 2: holds a NUL byte; wanted text."),
        (b"a,b\n\xff,2\n", ", line 2: is not UTF-8 text."),
        (gzip.compress(b"a,b\n1,2\n"), ": is packed (gzip); unpack it."),
        (b"PK\x03\x04\x14\0", ": is packed (zip), or a spreadsheet; unpack it, or save it as text."),
        ("a,b\n1,2\n".encode("utf-16"), ": is UTF-16 text; save it as UTF-8."),
        (b"a,b\n1," + b"x" * (MAX_CSV_FIELD + 1), f", line 2: a field is longer than {MAX_CSV_FIELD} characters."),
        (b"a,b\n" + b"x" * (MAX_LINE_BYTES + 1), f", line 2: is longer than {MAX_LINE_BYTES} bytes."),
    ],
)
def test_bad_tables_name_the_line(tmp_path, raw, said):
    path = file(tmp_path, raw)

    assert message(lambda: list(read_table(path).rows)) == f"{path}{said}"


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    assert message(lambda: read_table(tmp_path / "no.csv")) == f"{tmp_path / 'no.csv'}: no such file."
    assert message(lambda: read_table(tmp_path)) == f"{tmp_path}: cannot be read (Is a directory)."


def test_a_long_line_is_refused_before_it_is_held(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    with path.open("wb") as out:
        out.truncate(2**30)  # a gigabyte of NUL without a line end
    tracemalloc.start()

    assert message(lambda: list(read_rows(path))) == f"{path}, line 1: is longer than {MAX_LINE_BYTES} bytes."

    assert tracemalloc.get_traced_memory()[1] < 4 * MAX_LINE_BYTES
    tracemalloc.stop()


def test_every_damage_of_a_table_gives_rows_or_one_line(tmp_path):
    refused = 0
    for _, damaged in mutations(TABLE):
        path = file(tmp_path, damaged)
        try:
            list(read_table(path).rows)
        except DataError as error:
            assert_one_line_about(error, path)
            refused += 1
    assert refused > 50


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=80))
def test_any_bytes_give_rows_or_an_error_of_ours(tmp_path_factory, raw):
    path = file(tmp_path_factory.getbasetemp(), raw)
    for read in (csv_columns.read_rows, read_lines, read_names):
        with contextlib.suppress(DataError):
            list(read(path))


def test_lists_leave_out_blank_lines_and_keep_numbers(tmp_path):
    assert read_lines(file(tmp_path, b"\xef\xbb\xbfa\r\n\n  b \n")) == [Line(1, "a"), Line(3, "b")]


def test_a_list_over_the_limit_is_refused(tmp_path):
    path = file(tmp_path, b"a\n" * 60)

    assert message(lambda: text_lines.read_lines(path, largest=100)) == (
        f"{path}: has 120 bytes; the most for a list is 100."
    )
    assert (
        message(lambda: read_lines(file(tmp_path, b"a\n" + b"x" * 5000)))
        == f"{path}, line 2: is longer than 4096 bytes."
    )


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "..", ".hidden", "a b", "x" * 101, "a\\b", "a"])
def test_names_cannot_leave_their_folder_or_come_twice(tmp_path, name):
    path = file(tmp_path, f"a\n{name}\n".encode())

    assert message(lambda: read_names(path)) == f"{path}, line 2: wanted a new image name, got {name[:80]!r}."
