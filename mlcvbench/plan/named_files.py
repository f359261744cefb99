"""Files and folders that settings name: identified by content, shown by name, never by path.

In a run's key and in its record `model.file=/home/ann/best.txt` is `best.txt@<sha256>`. Paths of data sets are covered
by the data's fingerprint, which hashes what was read from them; only predictions and model settings can hold others.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlcvbench.errors import DataError, OverrideError, RecordError, RequestError, short_digests
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.entries import Entries, entries_of
from mlcvbench.plan.given_weights import given_weights, is_run
from mlcvbench.registry import Registry
from mlcvbench.specs import Param
from mlcvbench.specs.values import absolute, parse_setting, split_commas
from mlcvbench.storage.digests import content_hash

WEIGHTS = "weights"
ABSENT = "absent"
"""Label of a default that names no file on this machine."""
_LABEL = re.compile(r".+@[0-9a-f]{64}")

Rename = Callable[[str, str], str]
"""Maps the key of a setting, such as `model.base.file`, and its path to the replacement."""


def file_label(path: str) -> str:
    """Return the label of a file or folder in a record: its name and the sha256 of its content."""
    name = os.path.basename(os.path.normpath(path))  # noqa: PTH119 - it is text
    return f"{name}@{content_hash(path) if os.path.exists(path) else ABSENT}"  # noqa: PTH110 - it is text


def labelled(config: RunConfig, entries: Entries) -> RunConfig:
    """Return the configuration with labels in place of the paths that its model, fit, reading and weights name.

    DataError names a setting whose file cannot be read.
    """
    return renamed(config, entries, label)


@dataclass(frozen=True, slots=True)
class Shown:
    """A configuration as a record shows it, as plain data without paths, with key and label of each file it names."""

    config: dict[str, Any]
    labels: tuple[tuple[str, str], ...]


def shown(config: RunConfig, entries: Entries) -> Shown:
    """Return a configuration as a record shows it; DataError names a setting whose file cannot be read."""
    known = labelled(config, entries)
    plain, places = known.to_dict(), entries.places
    for settings in (plain["data_params"], plain["definition"]["data"]):
        settings |= {name: None for name in settings if name in places}
    return Shown(plain, tuple(labels_of(known, entries)))


def renamed(config: RunConfig, entries: Entries, rename: Rename) -> RunConfig:
    """Return the configuration with a replacement for each path that its settings outside of data name."""
    renaming = Renaming(entries.registry, config.definition.kind, rename)
    search = config.search
    return replace(
        config,
        model_params=renaming.settings(entries.declared("model"), config.model_params, "model"),
        fit=renaming.settings(entries.declared("fit"), config.fit, "fit"),
        reading=renaming.settings(entries.task.spec.reading, config.reading, ""),
        weights=rename(WEIGHTS, config.weights) if config.weights else config.weights,
        search=search and replace(search, space=_rename_keyed(entries, search.space, renaming)),
    )


def paths_of(config: RunConfig, entries: Entries) -> list[str]:
    """Return every path that the settings of a run name, including those of its data."""
    found: list[str] = []

    def note(_: str, path: str) -> str:
        found.append(path)
        return path

    renamed(config, entries, note)
    data = [value for name, value in config.data_params.items() if name in entries.places]
    return [*found, *(str(path) for path in data if path)]


def labels_of(config: RunConfig, entries: Entries) -> list[tuple[str, str]]:
    """Return key and label of every file that a labelled configuration names, in a fixed order."""
    found: list[tuple[str, str]] = []

    def note(key: str, label: str) -> str:
        found.append((key, os.path.basename(label)))  # noqa: PTH119 - the label of a file of a nested model was made absolute
        return label

    renamed(config, entries, note)
    return found


def label_keyed(config: RunConfig, entries: Entries, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings under full keys, such as `model.file`, with labels in place of paths."""
    return _rename_keyed(entries, settings, Renaming(entries.registry, config.definition.kind, label))


@dataclass(frozen=True, slots=True)
class Renaming:
    """Replaces each path that settings name, also inside models of `kind` that they name."""

    registry: Registry
    kind: str
    rename: Rename

    def settings(self, params: Sequence[Param], values: Mapping[str, Any], place: str) -> dict[str, Any]:
        """Return the renamed settings of one place; a value may be a list of values, as in a search space."""
        known = {param.name: param for param in params}
        return {
            name: self._value(known[name], value, f"{place}.{name}".removeprefix(".")) if name in known else value
            for name, value in values.items()
        }

    def _value(self, param: Param, value: Any, key: str) -> Any:
        if value is None or param.type not in {"path", "model"}:
            return value
        if isinstance(value, list):
            return [self._value(param, one, key) for one in value]
        return self.rename(key, value) if param.type == "path" else self._inner(value, key)

    def _inner(self, text: str, key: str) -> str:
        """Return the text that names a model, `NAME,SETTING=VALUE,...`, with the paths in it renamed."""
        name, *words = [word.strip() for word in split_commas(text, key)]
        params = {param.name: param for param in self.registry.runnable(name, self.kind).spec.params}
        found = [name]
        for word in words:
            setting, _, value = word.partition("=")
            param = params.get(setting)
            if param is not None and param.type in {"path", "model"}:
                own = f"{key}.{setting}"
                value = self._value(param, parse_setting(param, value, own), own)
                value = f"[{value}]" if "," in value else value
            found.append(f"{setting}={value}")
        return ",".join(found)


def with_files(config: RunConfig, given: Mapping[str, str], run: str) -> RunConfig:
    """Return the configuration of the record `run` with paths in place of the labels in its model settings.

    `given`: the paths, by key such as `model.base.file`. RequestError names a missing one, RecordError one with other
    content than in the run.
    """
    found = set()

    def path_of(key: str, value: str) -> str:
        label = os.path.basename(value)  # noqa: PTH119 - it is text
        if not _LABEL.fullmatch(label):
            return value  # an old record without labels
        if key not in given:
            raise RequestError(
                f"record {run!r} does not say where its files are; give {key}=PATH ({short_digests(label)})."
            )
        found.add(key)
        path = absolute(given[key])
        if content_hash(path) != label.rpartition("@")[2]:
            raise RecordError(f"{key}={given[key]}: its content differs from that in run {run!r}.")
        return path

    entries = entries_of(config)
    renaming = Renaming(entries.registry, config.definition.kind, path_of)
    model_params = renaming.settings(entries.declared("model"), config.model_params, "model")
    for key in given:
        if key not in found:
            raise OverrideError(f"key {key!r} has no effect: run {run!r} was made with no such file.")
    return replace(config, model_params=model_params)


def _rename_keyed(entries: Entries, settings: Mapping[str, Any], renaming: Renaming) -> dict[str, Any]:
    found = {}
    for key, value in settings.items():
        place, _, name = key.partition(".")
        found[key] = renaming.settings(entries.declared(place), {name: value}, place)[name]
    return found


def label(key: str, path: str) -> str:
    """Return the label of what a setting names; DataError begins with its key.

    A run that `weights=` names is known by its weights, wherever its folder and whatever else is in it.
    """
    try:
        if key == WEIGHTS and is_run(path):
            given = given_weights(path)
            return f"{given.run}@{given.digest}"
        return file_label(path)
    except DataError as error:
        raise DataError(f"{key}: {error}") from None
