"""JSON files: plain, compressed with gzip, or alone in a zip; with or without a byte-order mark.

Python's `json` writes NaN and Infinity, which are not JSON. They are parsed as numbers, so that the error names the
field.
"""

from __future__ import annotations

import codecs
import gzip
import json
import struct
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

from mlcvbench.errors import MlcvbenchError
from mlcvbench.files.missing import no_file
from mlcvbench.limits import MAX_JSON_BYTES

_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_DAMAGED = (OSError, EOFError, zlib.error, zipfile.BadZipFile)
_NO_NUMBERS = (b"NaN", b"Infinity")


def read_json(path: Path, error: type[MlcvbenchError]) -> Any:
    """Return the content of a JSON file; an error names the file and where it is damaged."""
    import orjson

    text = _text(path, error)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as bad:
        if any(word in text for word in _NO_NUMBERS):
            with suppress(ValueError, RecursionError):
                return json.loads(text)
        lines = " It holds one object per line; wanted one list [..., ...]." if _is_lines(text) else ""
        raise error(f"{path}: is not JSON ({bad}).{lines}") from None


def is_compressed(path: Path) -> bool:
    """Return whether a file is gzip or zip, by its first bytes."""
    with path.open("rb") as file:
        return file.read(4).startswith((_GZIP, _ZIP))


def check_size(path: Path, error: type[MlcvbenchError]) -> None:
    """Refuse a file that is missing or larger than `MAX_JSON_BYTES`."""
    if not path.is_file():
        raise error(str(no_file(path, "a file of JSON")))
    size = path.stat().st_size
    if size > MAX_JSON_BYTES:
        raise error(f"{path}: has {size} bytes; the most is {MAX_JSON_BYTES}.")


def _text(path: Path, error: type[MlcvbenchError]) -> bytes:
    """Return the content of a file, as UTF-8 without a byte-order mark."""
    check_size(path, error)
    content = path.read_bytes()
    if content.startswith(_GZIP):
        with gzip.open(path) as stream:
            content = _unpacked(path, cast("IO[bytes]", stream), "gzip", error)
    elif content.startswith(_ZIP):
        content = _only_member(path, error)
    if content.startswith(_WIDE):
        with suppress(UnicodeDecodeError):
            return content.decode("utf-16").encode()
    return content.removeprefix(codecs.BOM_UTF8)


def _only_member(path: Path, error: type[MlcvbenchError]) -> bytes:
    """Return the one .json file of a zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
            members = [name for name in names if name.lower().endswith(".json")]
            if len(members) != 1:
                holds = ", ".join(name[:60] for name in names[:3]) + (" ..." if len(names) > 3 else "")
                raise error(f"{path}: is a zip of {holds or 'nothing'}; wanted one .json file in it.")
            with archive.open(members[0]) as stream:
                return _unpacked(path, stream, "zip", error)
    except (*_DAMAGED, RuntimeError, ValueError, struct.error) as bad:  # RuntimeError: it needs a password
        raise error(f"{path}: cannot be read as a zip ({bad}).") from None


def _unpacked(path: Path, stream: IO[bytes], form: str, error: type[MlcvbenchError]) -> bytes:
    try:
        content = stream.read(MAX_JSON_BYTES + 1)
    except _DAMAGED as bad:
        raise error(f"{path}: cannot be read as {form} ({bad}).") from None
    if len(content) > MAX_JSON_BYTES:
        raise error(f"{path}: holds more than {MAX_JSON_BYTES} bytes, unpacked.")
    return content


def _is_lines(text: bytes) -> bool:
    """Return whether the first two lines are an object each."""
    lines = text[: 1 << 16].split(b"\n", 2)[:2]
    return len(lines) == 2 and all(line.strip()[:1] == b"{" and line.strip()[-1:] == b"}" for line in lines)
