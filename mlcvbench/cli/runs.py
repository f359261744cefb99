"""What the commands on stored runs share: find a run by folder or name, read `data.*` settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlcvbench.errors import OverrideError, RecordError

if TYPE_CHECKING:
    from mlcvbench.records.schema import Record

DEFAULT_RUNS = Path("runs")


def open_run(reference: str) -> tuple[Record, Path]:
    """Return the record and folder of a run given as a folder, a `record.json`, or a run id below `runs/`."""
    from mlcvbench.records.store import read_record

    for folder in (Path(reference), DEFAULT_RUNS / reference):
        if folder.is_dir() and (folder / "record.json").is_file():
            return read_record(folder / "record.json"), folder
        if folder.name == "record.json" and folder.is_file():
            return read_record(folder), folder.parent
    stored = DEFAULT_RUNS.iterdir() if DEFAULT_RUNS.is_dir() else ()
    near = sorted(path.name for path in stored if path.name.startswith(reference) and (path / "record.json").is_file())
    if len(near) == 1:
        return read_record(DEFAULT_RUNS / near[0] / "record.json"), DEFAULT_RUNS / near[0]
    if near:
        raise RecordError(f"run {reference!r} is not unique: {', '.join(near[:5])}.")
    raise RecordError(f"no run {reference!r}: wanted a run folder with a record.json, or the id of one in runs/.")


def data_settings(settings: Sequence[str]) -> dict[str, str]:
    """Return {name: value} of `data.name=value` words; OverrideError for any other word."""
    found = {}
    for word in settings:
        key, sep, value = word.partition("=")
        if not sep or not key.startswith("data.") or not value:
            raise OverrideError(f"{word!r}: wanted data.NAME=VALUE, such as data.root=DIR.")
        found[key.removeprefix("data.")] = value
    return found
