"""Text files from outside, line by line, within bounds: UTF-8 with or without a byte-order mark, LF or CRLF."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mlcvbench.errors import DataError
from mlcvbench.limits import MAX_LINE_BYTES, MAX_LIST_BYTES, MAX_LIST_LINE_BYTES

_SIGNATURES = {
    b"\x1f\x8b": "packed (gzip); unpack it",
    b"PK\x03\x04": "packed (zip), or a spreadsheet; unpack it, or save it as text",
    b"\xff\xfe": "UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8",
}
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")


class Line(NamedTuple):
    """A line of a text file, counted from 1, without surrounding blanks."""

    number: int
    text: str


def text_lines(path: Path, longest: int = MAX_LINE_BYTES) -> Iterator[str]:
    """Yield the lines of a text file with their ends, one in memory at a time.

    DataError names file and line: missing, unreadable, packed, not UTF-8, a NUL, more than `longest` bytes.
    """
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(longest + 1):
                number += 1
                if number == 1:
                    _refuse_packed(path, line)
                if len(line) > longest:
                    raise DataError(f"{path}, line {number}: is longer than {longest} bytes.")
                if b"\0" in line:
                    raise DataError(f"{path}, line {number}: holds a NUL byte; wanted text.")
                try:
                    yield line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError:
                    raise DataError(f"{path}, line {number}: is not UTF-8 text.") from None
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None


def _refuse_packed(path: Path, start: bytes) -> None:
    """DataError that names the format of a file whose first bytes are not UTF-8 text."""
    for signature, what in _SIGNATURES.items():
        if start.startswith(signature):
            raise DataError(f"{path}: is {what}.")


def numbered_lines(path: Path, longest: int = MAX_LIST_LINE_BYTES) -> Iterator[Line]:
    """Yield the lines that are not blank with their numbers, one in memory at a time. DataError as in `text_lines`."""
    for number, raw in enumerate(text_lines(path, longest), 1):
        text = raw.strip()
        if text:
            yield Line(number, text)


def read_lines(path: Path, largest: int = MAX_LIST_BYTES) -> list[Line]:
    """Return the lines of a list such as class names or image names; blank ones are left out.

    DataError as in `text_lines`, and for a file of more than `largest` bytes.
    """
    if path.is_file() and path.stat().st_size > largest:
        raise DataError(f"{path}: has {path.stat().st_size} bytes; the most for a list is {largest}.")
    return list(numbered_lines(path))


def read_names(path: Path) -> list[str]:
    """Return the names of images that a file lists, one per line, each once; such a name cannot leave its folder.

    DataError as in `read_lines`, for a repeated name, for characters other than letters, digits and `_.-`, and for an
    empty list.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; wanted a list of image names.")
    names: dict[str, int] = {}
    for number, name in read_lines(path):
        if not _NAME.fullmatch(name) or name in names:
            raise DataError(f"{path}, line {number}: wanted a new image name, got {name[:80]!r}.")
        names[name] = number
    if not names:
        raise DataError(f"{path}: names no image.")
    return list(names)


def plain_number(text: str | None) -> float | None:
    """Return a finite number written in plain digits, None for anything else."""
    if text is None or len(text) > 40 or not re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", text, re.ASCII):
        return None
    value = float(text)
    return value if math.isfinite(value) else None
