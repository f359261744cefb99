"""What the commands on stored runs share: find a run by folder or name, read `data.*` settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlcvbench.errors import OverrideError, RecordError

if TYPE_CHECKING:
    from mlcvbench.records.schema import Record

DEFAULT_RUNS = Path("runs")
SHOWN = 5
"""Runs that a message lists."""


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
        more = f" and {len(near) - SHOWN} more" if len(near) > SHOWN else ""
        raise RecordError(f"run {reference!r} is not unique: {', '.join(near[:SHOWN])}{more}.")
    raise RecordError(f"no run {reference!r}: wanted a run folder with a record.json, or the id of one in runs/.")


def is_data_setting(word: str) -> bool:
    """Tell whether a word begins as `data.NAME=` or, for one data set alone, as `DATASET.data.NAME=`."""
    key = word.partition("=")[0]
    return key.startswith("data.") or ".data." in key


def data_settings(settings: Sequence[str]) -> dict[str, str]:
    """Return {NAME: VALUE} of `data.NAME=VALUE` words and {DATASET.NAME: VALUE} of `DATASET.data.NAME=VALUE` words.

    OverrideError for any other word.
    """
    found = {}
    for word in settings:
        key, sep, value = word.partition("=")
        if not sep or not is_data_setting(word) or not value:
            raise OverrideError(f"{word!r}: wanted data.NAME=VALUE, such as data.root=DIR.")
        dataset, _, name = key.rpartition("data.")
        found[f"{dataset}{name}"] = value
    return found
