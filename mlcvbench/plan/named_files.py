"""Files and folders that settings name: known by what they hold, shown by their own name, never by where they lie.

In a run's key and in its record `model.file=/home/ann/best.txt` is `best.txt@<sha256>`. Paths of data sets are left to
the data's fingerprint, which holds what was read of them; only predictions and settings of a model can hold others.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlcvbench.errors import DataError, OverrideError, RecordError, RequestError, UnknownNameError, short_digests
from mlcvbench.plan.config import RunConfig
from mlcvbench.registry import get_registry
from mlcvbench.specs import Param
from mlcvbench.specs.values import absolute, parse_setting, split_commas
from mlcvbench.storage.digests import content_hash

ABSENT = "absent"
"""What a default that names no file of this machine holds."""
PLACES = ("model", "fit")
_LABEL = re.compile(r".+@[0-9a-f]{64}")

Rename = Callable[[str, str], str]
"""From the key of a setting, such as `model.base.file`, and the path it names to what is to stand there."""


def file_label(path: str) -> str:
    """Return what a record calls a file or folder: its name and the sha256 of what it holds."""
    name = os.path.basename(os.path.normpath(path))  # noqa: PTH119 - it is text
    return f"{name}@{content_hash(path) if os.path.exists(path) else ABSENT}"  # noqa: PTH110 - it is text


def labelled(config: RunConfig) -> RunConfig:
    """Return the configuration with labels in place of the paths that its model, fit, reading and weights name.

    DataError names a setting whose file cannot be read.
    """
    return renamed(config, label)


def renamed(config: RunConfig, rename: Rename) -> RunConfig:
    """Return the configuration with another text in place of each path that its settings outside of data name."""
    kind = config.definition.kind
    params = {place: declared(config.model, kind, place) for place in PLACES}
    reading = get_registry().task(kind).spec.reading
    return replace(
        config,
        model_params=rename_paths(params["model"], config.model_params, kind, "model", rename),
        fit=rename_paths(params["fit"], config.fit, kind, "fit", rename),
        reading=rename_paths(reading, config.reading, kind, "", rename),
        weights=rename("weights", config.weights) if config.weights else config.weights,
        search=config.search and replace(config.search, space=_rename_keyed(config, config.search.space, rename)),
    )


def paths_of(config: RunConfig) -> list[str]:
    """Return every path that the settings of a run name, those of its data too."""
    found: list[str] = []

    def note(_: str, path: str) -> str:
        found.append(path)
        return path

    renamed(config, note)
    spec = get_registry().dataset(config.definition.dataset, config.definition.kind).spec
    data = [config.data_params.get(param.name) for param in spec.params if param.type == "path"]
    return [*found, *(str(path) for path in data if path)]


def labels_of(config: RunConfig) -> list[tuple[str, str]]:
    """Return key and label of every file that a labelled configuration names, always in the same order."""
    found: list[tuple[str, str]] = []

    def note(key: str, label: str) -> str:
        found.append((key, os.path.basename(label)))  # noqa: PTH119 - a setting inside a model was made absolute
        return label

    renamed(config, note)
    return found


def label_keyed(config: RunConfig, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings under whole keys, such as `model.file`, with labels in place of paths."""
    return _rename_keyed(config, settings, label)


def rename_paths(
    params: Sequence[Param], values: Mapping[str, Any], kind: str, place: str, rename: Rename
) -> dict[str, Any]:
    """Return settings with another text in place of each path, also of those inside models that they name.

    A value may be a list of values, as in the space of a search.
    """
    known = {param.name: param for param in params}
    return {
        name: _renamed(known[name], value, kind, f"{place}.{name}".removeprefix("."), rename)
        if name in known
        else value
        for name, value in values.items()
    }


def with_files(config: RunConfig, given: Mapping[str, str], run: str) -> RunConfig:
    """Return the configuration of the record `run` with paths in place of the labels among its model's settings.

    `given`: the paths, by key such as `model.base.file`. RequestError names one that is missing, RecordError one that
    holds something else than the run was made with.
    """
    found = set()

    def path_of(key: str, value: str) -> str:
        label = os.path.basename(value)  # noqa: PTH119 - it is text
        if not _LABEL.fullmatch(label):
            return value  # a record of before labels
        if key not in given:
            raise RequestError(
                f"record {run!r} does not say where its files lie; give {key}=PATH ({short_digests(label)})."
            )
        found.add(key)
        path = absolute(given[key])
        if content_hash(path) != label.rpartition("@")[2]:
            raise RecordError(f"{key}={given[key]}: holds something else than run {run!r} was made with.")
        return path

    params = declared(config.model, config.definition.kind, "model")
    model_params = rename_paths(params, config.model_params, config.definition.kind, "model", path_of)
    for key in given:
        if key not in found:
            raise OverrideError(f"key {key!r} has no effect: run {run!r} was made with no such file.")
    return replace(config, model_params=model_params)


def declared(model: str, kind: str, place: str) -> Sequence[Param]:
    """Return the settings that a model declares under `model` or `fit`; none when no plugin provides it."""
    try:
        return get_registry().model(model, kind).spec.declared(place)
    except UnknownNameError:
        return ()


def _rename_keyed(config: RunConfig, settings: Mapping[str, Any], rename: Rename) -> dict[str, Any]:
    kind = config.definition.kind
    found = {}
    for key, value in settings.items():
        place, _, name = key.partition(".")
        params = declared(config.model, kind, place)
        found[key] = rename_paths(params, {name: value}, kind, place, rename)[name]
    return found


def label(key: str, path: str) -> str:
    """Return the label of what a setting names; DataError begins with its key."""
    try:
        return file_label(path)
    except DataError as error:
        raise DataError(f"{key}: {error}") from None


def _renamed(param: Param, value: Any, kind: str, key: str, rename: Rename) -> Any:
    if value is None or param.type not in {"path", "model"}:
        return value
    if isinstance(value, list):
        return [_renamed(param, one, kind, key, rename) for one in value]
    return rename(key, value) if param.type == "path" else _renamed_inner(value, kind, key, rename)


def _renamed_inner(text: str, kind: str, key: str, rename: Rename) -> str:
    """Return the text that names a model, `NAME,SETTING=VALUE,...`, with the paths in it renamed."""
    name, *words = [word.strip() for word in split_commas(text, key)]
    params = {param.name: param for param in get_registry().runnable(name, kind).spec.params}
    found = [name]
    for word in words:
        setting, _, value = word.partition("=")
        param = params.get(setting)
        if param is not None and param.type in {"path", "model"}:
            own = f"{key}.{setting}"
            value = _renamed(param, parse_setting(param, value, own), kind, own, rename)
            value = f"[{value}]" if "," in value else value
        found.append(f"{setting}={value}")
    return ",".join(found)
