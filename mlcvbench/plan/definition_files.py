"""Paths of the installed definitions; the files are not read here, so that listing their names stays cheap."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from mlcvbench.registry import Registry
from mlcvbench.specs import TaskSpec

SUFFIXES = (".yaml", ".yml")


def definition_names(registry: Registry) -> dict[str, list[str]]:
    """Return the names of the installed definitions by task kind, without reading them."""
    return {kind: sorted(files) for kind, files in definition_files(registry).items()}


def names_of(spec: TaskSpec) -> list[str]:
    """Return the names of the installed definitions of one task kind, without reading them."""
    return sorted(_files_of(spec))


def definition_files(registry: Registry) -> dict[str, dict[str, Path]]:
    """Return the files of the installed definitions: task kind -> name -> path."""
    return {entry.spec.name: _files_of(entry.spec) for entry in registry.tasks()}


def _files_of(spec: TaskSpec) -> dict[str, Path]:
    found = find_spec(spec.package or spec.target.partition(":")[0].rpartition(".")[0] or spec.target.partition(":")[0])
    places = list(found.submodule_search_locations or ()) if found else []
    return {
        path.stem: path
        for place in places
        for path in sorted((Path(place) / spec.definitions).glob("*"))
        if path.suffix in SUFFIXES
    }
