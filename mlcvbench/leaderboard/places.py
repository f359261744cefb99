"""Paths of this machine in what is to be published: the final check, after path settings were shown by name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mlcvbench.records.schema import Record

_PATH = re.compile(r"(?<![\w.~$@/-])/[^\s\"'\[\](){}<>,;:=|]+")
_EVERYWHERE = ("/dev/", "/proc/", "/sys/")
_SETTINGS = ("config", "command", "model", "selection", "dataset")
"""Parts of a record that must hold no path of a machine at all."""


def place_in(record: Record, folder: Path, names: Iterable[str], known: Iterable[str | Path]) -> tuple[str, str] | None:
    """Return the file of a run that holds a path of this machine, and that path; None when none does.

    In settings every absolute path that exists here counts; elsewhere, in the files `names`, the home folder, the
    working folder and the `known` paths.
    """
    plain = record.model_dump(mode="json")
    for part in _SETTINGS:
        for text in _texts(plain[part]):
            for found in _PATH.findall(text):
                own = found.count("/") > 1 and not found.startswith(_EVERYWHERE)
                if own and os.path.exists(found):  # noqa: PTH110 - it is text
                    return "record.json", str(found)
    patterns = {place: _pattern(place) for place in _telling([Path.home(), Path.cwd(), *known])}
    for name in names:
        content = (folder / name).read_bytes()
        for place, pattern in patterns.items():
            if pattern.search(content):
                return name, place
    return None


def paths_among(data: Mapping[str, Any] | None) -> list[str]:
    """Return the values of `data.*` settings that are paths of this machine."""
    return [str(value) for value in (data or {}).values() if isinstance(value, str | Path) and os.path.exists(value)]  # noqa: PTH110


def _telling(places: Iterable[str | Path]) -> Iterator[str]:
    """Yield the paths that reveal something about a machine: a home, or a folder that is not on every machine."""
    for place in {os.path.abspath(place) for place in places}:  # noqa: PTH100 - links are kept as written
        if len(Path(place).parts) > 2 or place == str(Path.home()):
            yield place


def _pattern(place: str) -> re.Pattern[bytes]:
    return re.compile(rb"(?<![\w.~$-])" + re.escape(place.encode("utf-8", "surrogateescape")) + rb"(?![\w-])")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield str(name)
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
