"""Finds installed plugins by reading `entry_points.txt` of the distributions on `sys.path`.

`importlib.metadata` does the same, but importing it costs more CPU time than all the rest of
`mlcvbench list`. Unpacked distributions (`*.dist-info`, `*.egg-info` folders) are seen; zipped eggs are not.
"""

# pathlib alone would cost as much CPU time as this whole scan of the installed distributions.
# ruff: noqa: PTH118, PTH119, PTH123, PTH208
from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from typing import NamedTuple

GROUP = "mlcvbench"
OWN_DISTRIBUTION = "mlcvbench"
_FOLDERS = (".dist-info", ".egg-info")


class EntryPoint(NamedTuple):
    """One line of a distribution's `entry_points.txt`: `name = module:attribute` (the attribute may be empty)."""

    name: str
    value: str
    distribution: str
    version: str

    @property
    def module(self) -> str:
        """The module to import."""
        return self.value.partition(":")[0].strip()

    @property
    def attribute(self) -> str:
        """The attribute inside the module that is the plugin, or '' for the module itself."""
        return self.value.partition(":")[2].partition("[")[0].strip()


def find_entry_points(path: Iterable[str] | None = None, group: str = GROUP) -> list[EntryPoint]:
    """Return the entry points of `group`: our own distribution first, then by distribution and name.

    As with `importlib.metadata`, the first distribution of a name on `path` (default `sys.path`) hides later ones.
    """
    found: list[EntryPoint] = []
    seen: set[str] = set()
    folders: set[str] = set()
    for place in sys.path if path is None else path:
        real = os.path.realpath(place or ".")
        if real in folders:
            continue
        folders.add(real)
        names: set[str] = set()
        for folder, key in _distributions(real):
            if key not in seen:
                names.add(key)
                found += _read_group(folder, group)
        seen |= names
    return sorted(
        found, key=lambda e: (normalise(e.distribution) != OWN_DISTRIBUTION, normalise(e.distribution), e.name)
    )


def normalise(name: str) -> str:
    """Return a distribution's name as the packaging standards compare it.

    >>> normalise("My_Plugin.x")
    'my-plugin-x'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def _distributions(place: str) -> list[tuple[str, str]]:
    """Return (folder, normalised name) of the distributions installed in `place`."""
    try:
        names = os.listdir(place)
    except OSError:
        return []
    return [
        (os.path.join(place, name), normalise(name.rpartition(".")[0].partition("-")[0]))
        for name in names
        if name.endswith(_FOLDERS)
    ]


def _read_group(folder: str, group: str) -> list[EntryPoint]:
    text = _read(os.path.join(folder, "entry_points.txt"))
    if f"[{group}]" not in text:
        return []
    name, version = _name_and_version(folder)
    lines = parse_group(text, group)
    return [EntryPoint(key, value, name, version) for key, value in lines]


def parse_group(text: str, group: str) -> list[tuple[str, str]]:
    r"""Return the (name, value) lines of one section of an `entry_points.txt`.

    >>> parse_group("[other]\na = b\n[mine]\n# why\nknn = knn_plugin\n", "mine")
    [('knn', 'knn_plugin')]
    """
    section = ""
    found = []
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
        elif section == group and line and line[0] not in "#;":
            name, _, value = line.partition("=")
            found.append((name.strip(), value.strip()))
    return found


def _name_and_version(folder: str) -> tuple[str, str]:
    """Return name and version from METADATA, or from the folder's name when it has none."""
    stem = os.path.basename(folder).rpartition(".")[0]
    fields = {"name": stem.partition("-")[0], "version": stem.partition("-")[2]}
    metadata = _read(os.path.join(folder, "METADATA")) or _read(os.path.join(folder, "PKG-INFO"))
    for line in metadata.splitlines():
        if not line.strip():
            break
        key, _, value = line.partition(":")
        if key.lower() in fields:
            fields[key.lower()] = value.strip()
    return fields["name"], fields["version"] or "unknown"


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
