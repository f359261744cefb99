"""Read all records of a folder of runs: at once where every record is sound, through the store where one is not."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from mlcvbench.limits import MAX_RECORD_BYTES
from mlcvbench.records.canonical import RECORD_FILE, SCHEMA_VERSION, inside
from mlcvbench.records.schema import SHA256, Record
from mlcvbench.records.store import Problem, Store

_DIGEST = re.compile(SHA256)
_inside = lru_cache(maxsize=4096)(inside)


def read_runs(root: Path) -> tuple[list[tuple[Record, Path]], list[Problem]]:
    """Return (record, folder) by folder name and what is wrong with the others, as `Store.records` does.

    Ten thousand sound records take half the time here, because the schema reads their bytes itself. One that is not
    plainly sound (damaged, renamed, older) sends all through the store, whose word counts.
    """
    found = []
    for name in _names(root):
        record = _sound(f"{root}/{name}/{RECORD_FILE}", name)
        if record is None:
            return Store(root).records()
        found.append((record, root / name))
    return found, []


def _names(root: Path) -> list[str]:
    try:
        with os.scandir(root) as entries:
            return sorted(e.name for e in entries if not e.name.startswith((".", "_")) and e.is_dir())
    except OSError:
        return [""]  # no record is read there; the store says what is wrong


def _sound(path: str, name: str) -> Record | None:
    """Return the record in a file, None unless the store would take it too."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - twice as fast, ten thousand times
            size = os.fstat(file.fileno()).st_size
            data = file.read(size) if size <= MAX_RECORD_BYTES else b""
        if b"NaN" in data or b"Infinity" in data:
            return None
        record = Record.model_validate_json(data)
    except (OSError, ValidationError, RecursionError):
        return None
    sound = record.schema_version == SCHEMA_VERSION and record.run_id == name
    listed = all(_inside(file) and _DIGEST.fullmatch(digest) for file, digest in record.artifacts.items())
    return record if sound and listed else None
