"""Messages for samples without a file: what the folder holds instead."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from mlcvbench.errors import DataError

_MOST = 10_000
"""Files of a folder that are searched for a name to show."""
_SHOWN = 3


def missing_files(
    folder: Path, ids: Sequence[str], files: Mapping[str, Path], wanted: str, refused: Mapping[str, str] | None = None
) -> DataError:
    """Return the error for samples `ids` of which some have none of the `files` (by id) that were found in `folder`.

    It names what is there: a file of that name with another suffix, or files of other names. `wanted` says which files
    are read, `refused` why some suffixes are not.
    """
    missing = [name for name in ids if name not in files]
    first, count = missing[0], f"{len(missing)} of {len(ids)} samples"
    same = _same_name(folder, first)
    if same is not None:
        why = (refused or {}).get(same.suffix.lower())
        return DataError(f"{folder}: holds {_below(same, folder)}{f': {why}' if why else ''}; wanted {wanted}.")
    known = set(ids)
    others = [path for name, path in files.items() if name not in known] or _some_files(folder, set(files.values()))
    lead = f"{folder}: has no file for {count}, such as {first!r}"
    if not others:
        return DataError(f"{lead}; wanted {wanted}, named like the samples.")
    shown = next((path for path in others if first.rsplit("/", 1)[-1] in path.name), others[0])
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    return DataError(f"{lead}; it holds {_below(shown, folder)}{more} of other names; wanted {wanted}.")


def no_file(path: Path, wanted: str) -> DataError:
    """Return the error for a file that is missing or is a folder, naming what lies beside it."""
    if path.is_dir():
        return DataError(f"{path}: is a folder; wanted {wanted}.")
    return DataError(f"{path}: no such file{_beside(path)}; wanted {wanted}.")


def no_files(folder: Path, wanted: str, refused: Mapping[str, str] | None = None) -> DataError:
    """Return the error for a folder without any readable file, naming what lies in it or beside it."""
    if not folder.is_dir():
        return DataError(f"{folder}: no such folder{_beside(folder)}; wanted {wanted} in it.")
    there = _some_files(folder, ())
    if not there:
        return DataError(f"{folder}: is empty; wanted {wanted}.")
    why = (refused or {}).get(there[0].suffix.lower())
    shown = _listed([_below(path, folder) for path in there])
    return DataError(f"{folder}: holds {shown}{f': {why}' if why else ''}; wanted {wanted}.")


def _beside(path: Path) -> str:
    """Describe what lies in the folder of a missing path; empty when there is nothing."""
    there = path.parent.iterdir() if path.parent.is_dir() else ()
    names = sorted(one.name for one in there if not one.name.startswith("."))
    return f"; {path.parent} holds {_listed(names)}" if names else ""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _same_name(folder: Path, name: str) -> Path | None:
    """Return the file with a sample's name and any suffix."""
    place = folder / name
    found = sorted(place.parent.iterdir()) if place.parent.is_dir() else []
    return next((path for path in found if path.is_file() and path.with_suffix("") == place), None)


def _some_files(folder: Path, but: Collection[Path]) -> list[Path]:
    """Return files below a folder that are not among `but`, at most a few thousand."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and path not in but and not path.name.startswith("."):
            found.append(path)
        if len(found) == _MOST:
            break
    return sorted(found)


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
