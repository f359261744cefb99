"""Records as JSON: one canonical form to write, and a reader that validates everything.

Written: keys sorted, two spaces, UTF-8, numbers finite (checked first: the library silently writes NaN as null).
Read: size before bytes, then syntax and depth, then the schema version, migrations, and the schema itself.
`python -m mlcvbench.records.canonical docs/record.schema.json` writes the JSON schema of the present version.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcvbench.errors import RecordError, short
from mlcvbench.limits import MAX_RECORD_BYTES

if TYPE_CHECKING:
    from mlcvbench.records.schema import Record

RECORD_FILE = "record.json"
MAX_DEPTH = 100

Plain = dict[str, Any]
MIGRATIONS: dict[int, Callable[[Plain], Plain]] = {}
"""From schema version n to n + 1. Every version ever released stays readable through this table."""


def dumps(data: Mapping[str, Any]) -> bytes:
    r"""Return the canonical JSON of `data`; RecordError names the first field that JSON cannot hold.

    >>> dumps({"b": (1, 2.5), "a": None})
    b'{\n  "a": null,\n  "b": [\n    1,\n    2.5\n  ]\n}\n'
    """
    import orjson

    return _dump(data, orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def to_line(data: Mapping[str, Any]) -> bytes:
    """Return `data` as one line of JSON, with the checks of `dumps`."""
    import orjson

    return _dump(data, orjson.OPT_APPEND_NEWLINE)


def to_json(record: Record) -> bytes:
    """Return the canonical JSON of a record."""
    return dumps(record.model_dump())


def loads(data: bytes, where: Path) -> Plain:
    """Return the JSON object in `data`; RecordError says what is wrong with `where`, the file it came from."""
    import orjson

    if len(data) > MAX_RECORD_BYTES:
        raise RecordError(_too_large(where, len(data)))
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise RecordError(f"{str(where)!r} is not valid JSON: {error}.") from None
    if not isinstance(value, dict):
        raise RecordError(f"{str(where)!r}: wanted a JSON object, got {type(value).__name__}.")
    return value


def read_raw(path: Path) -> Plain:
    """Return a record as plain data of the current schema version; size, syntax and version are checked, fields are
    not.

    `path` is a run's folder or its `record.json`.
    """
    file = _file(path)
    return migrate(loads(_read_bytes(file), file), file)


def read_record(path: Path) -> Record:
    """Return the record in a run's folder (or `record.json`), checked against the whole schema.

    The schema parses the bytes of a valid record itself, in half the time. What it refuses, or accepts although a
    strict JSON reader would not, takes the slow path, which says what is wrong.
    """
    from pydantic import ValidationError

    from mlcvbench.records.schema import SCHEMA_VERSION, Record

    file = _file(path)
    data = _read_bytes(file)
    if b"NaN" not in data and b"Infinity" not in data:
        try:
            record = Record.model_validate_json(data)
        except (ValidationError, RecursionError):
            pass
        else:
            if record.schema_version == SCHEMA_VERSION:
                return record
    return to_record(migrate(loads(data, file), file), file)


def _file(path: Path) -> Path:
    return path / RECORD_FILE if path.name != RECORD_FILE and path.is_dir() else path


def to_record(raw: Plain, where: Path) -> Record:
    """Check plain data of the current version against the schema; RecordError names `where` and the first fault."""
    from pydantic import ValidationError

    from mlcvbench.records.schema import Record

    try:
        return Record.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or "record"
        raise RecordError(f"{str(where)!r}: field {field!r}: {_complaint(first)}.") from None


def _complaint(error: Mapping[str, Any]) -> str:
    """Return the schema's complaint about a field, its patterns in words."""
    from mlcvbench.records.schema import NAME, SHA256

    patterns = {NAME: "a name of letters, digits and ._+:-", SHA256: "64 hexadecimal digits"}
    wanted = patterns.get(error.get("ctx", {}).get("pattern", ""))
    said = str(error["msg"]).removeprefix("Value error, ")  # for the schema's own validators
    return f"wanted {wanted}, got {short(error['input'])}" if wanted else said


def migrate(raw: Plain, where: Path) -> Plain:
    """Migrate plain data of any older schema version to the current one; refuse a newer one."""
    from mlcvbench.records.schema import SCHEMA_VERSION

    version = raw.get("schema_version")
    if type(version) is not int or version < 1:
        raise RecordError(f"{str(where)!r}: field 'schema_version': wanted a positive integer, got {version!r}.")
    if version > SCHEMA_VERSION:
        raise RecordError(
            f"{str(where)!r} has schema version {version}; this mlcvbench reads up to {SCHEMA_VERSION}. "
            "Update mlcvbench."
        )
    while version < SCHEMA_VERSION:
        raw = MIGRATIONS[version](raw)
        version += 1
    return raw


def schema_json() -> bytes:
    """Return the JSON schema of a record, for `docs/record.schema.json`."""
    from mlcvbench.records.schema import Record

    return dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **Record.model_json_schema()})


def _dump(data: Mapping[str, Any], option: int) -> bytes:
    import orjson

    try:
        return orjson.dumps(_plain(data, "", 0), option=option)
    except TypeError as error:  # only an integer beyond 64 bits can still be refused
        raise RecordError(f"a record cannot be written as JSON: {error}.") from None


def _read_bytes(file: Path) -> bytes:
    try:
        with open(file, "rb", buffering=0) as opened:  # noqa: PTH123 - twice as fast as pathlib, and called for each of ten thousand files
            size = os.fstat(opened.fileno()).st_size
            if size > MAX_RECORD_BYTES:
                raise RecordError(_too_large(file, size))
            return opened.read(size)
    except OSError as error:
        raise RecordError(f"cannot read {str(file)!r}: {error.strerror}.") from None


def _too_large(where: Path, size: int) -> str:
    return f"{str(where)!r} has {size} bytes; a record has at most {MAX_RECORD_BYTES}."


def _plain(value: Any, where: str, depth: int) -> Any:
    """Return `value` as JSON types; text that is not UTF-8 is escaped, so that a failure can always be recorded."""
    if depth > MAX_DEPTH:
        raise RecordError(f"record field {where[:80]!r} is nested deeper than {MAX_DEPTH} levels.")
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float):
        if not math.isfinite(value):
            raise RecordError(f"record field {where!r}: wanted a finite number, got {float(value)}.")
        return float(value)  # a numpy float64 is a float, but not to the JSON library
    if isinstance(value, Mapping):
        return {str(_plain(str(key), where, depth)): _plain(v, f"{where}.{key}".lstrip("."), depth + 1)
                for key, v in value.items()}  # fmt: skip
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}.{index}", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, Path):
        return _plain(str(value), where, depth)
    raise RecordError(f"record field {where!r}: wanted plain data, got {type(value).__name__}.")


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(schema_json())
