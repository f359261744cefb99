"""Samples that cannot be read: all of them at once, and data without them.

Every sample is read once, through the data set's own reader, so that it works for each kind and each plugin alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from mlcvbench.contract import LoadedData, Notice, Split
from mlcvbench.errors import DataError, MlcvbenchError, NoInputsError, said_by
from mlcvbench.processes.progress import silent


@dataclass(frozen=True, slots=True)
class Broken:
    """A sample that cannot be read: its split, its index and id in it, and one sentence why."""

    split: str
    place: int
    id: str
    message: str


def find_broken(data: LoadedData, progress: Callable[[str, int, int], None] = silent) -> list[Broken]:
    """Return every sample that cannot be read, by split; for a split without inputs only the targets are read.

    `progress` is called with the name of the split that is being read.
    """
    found = []
    for name, split in data.splits.items():
        for place, message in enumerate(split.each(partial(_complaint, split), range(len(split)))):
            progress(name, place + 1, len(split))
            if message is not None:
                found.append(Broken(name, place, str(split.ids[place]), message))
    return found


def without_broken(data: LoadedData) -> LoadedData:
    """Return the data without the samples that cannot be read, with a notice when there are any.

    DataError when no sample of a split can be read.
    """
    broken = find_broken(data)
    if not broken:
        return data
    splits = dict(data.splits)
    for name, split in data.splits.items():
        places = [one.place for one in broken if one.split == name]
        if len(places) == len(split):
            why = next(one.message for one in broken if one.split == name)
            raise DataError(
                f"data.skip=broken: no sample of split {name!r} of data set {data.name!r} can be read; the first: {why}"
            )
        if places:
            splits[name] = split.take(np.setdiff1d(np.arange(len(split)), places))
            splits[name].unread = split.ids[places]
    first = broken[0]
    notice = Notice(
        "broken-samples-left-out",
        f"{share_text(data, broken)} cannot be read and are left out (data.skip=broken); the first is {first.id!r} of "
        f"{first.split}, and `mlcvbench data check {data.name}` lists them.",
        len(broken),
    )
    return replace(data, splits=splits, notices=(*data.notices, notice))


def share_text(data: LoadedData, broken: Sequence[Broken]) -> str:
    """Return how many samples are broken, of how many, and in which splits."""
    counts = {name: sum(one.split == name for one in broken) for name in data.splits}
    where = ", ".join(f"{count:,} of {name}" for name, count in counts.items() if count)
    return f"{len(broken):,} of {sum(map(len, data.splits.values())):,} samples ({where})"


def _complaint(split: Split, place: int) -> str | None:
    """Return why a sample cannot be read, None when it can."""
    try:
        try:
            split.read([place])
        except NoInputsError:
            for column in split.targets().values():
                if hasattr(column, "__getitem__") and len(column) == len(split):
                    column[place]
    except MlcvbenchError as error:
        return str(error)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a plugin's reader may raise anything
        return said_by(error)
    return None
