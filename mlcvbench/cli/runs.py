"""Shared by the commands on stored runs: find a run by folder or name, read `data.*` settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlcvbench.errors import RecordError

if TYPE_CHECKING:
    from mlcvbench.records.schema import Record

DEFAULT_RUNS = Path("runs")
SHOWN = 5
"""The most runs that a message lists."""


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


def data_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Return {NAME: VALUE} of `data.NAME=VALUE` words and {DATASET.NAME: VALUE} of `DATASET.data.NAME=VALUE` words."""
    return {"".join(key.rpartition("data.")[::2]): value for key, value in settings.items()}
