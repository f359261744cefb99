"""Names of configurations: the fewest settings that distinguish the rows of a model on a board."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from mlcvbench.errors import short_digests
from mlcvbench.records.schema import Record
from mlcvbench.specs.values import shown

FEW_VARIED = 2
"""A model that varies at most this many settings is named by all of them, defaults included."""
SPACE_SHOWN = 5
"""The most values of a searched setting in a configuration's name; of longer lists the first two and the last."""

Settings = dict[str, Any]


def config_labels(records: Iterable[Record]) -> Callable[[Record], str]:
    """Return a function that names the configuration of each of these records.

    A name holds the settings given in the request, in its order, and those that the model varies where they are few; of
    the data, those that are not the same for all records.
    Where two configurations of a model would share a name, it also holds the settings in which they differ.
    """
    by_model: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_model[record.model.name].append(record)
    shared = _shared_data([record for group in by_model.values() for record in group])
    names = {id(record): name for group in by_model.values() for record, name in _named(group, shared)}
    return lambda record: names[id(record)]


def short_config(config: str) -> str:
    """Return a configuration's name without the places of its settings, where room is scarce.

    >>> short_config("fit.optimizer=adam, fit.lr=0.003")
    'optimizer=adam, lr=0.003'
    """
    return ", ".join(part.removeprefix("fit.") for part in config.split(", "))


def settings_of(record: Record) -> Settings:
    """Return the settings that distinguish one configuration of a model from another."""
    config = record.config
    settings = {**record.model.params, **{f"fit.{name}": value for name, value in (config.get("fit") or {}).items()}}
    for name in ("precision", "shards", "batch_size", "threads", "time"):
        if name in config:
            settings[name] = config[name]
    if "fit_budget" in config:
        settings["fit.budget"] = config["fit_budget"]
    if config.get("weights"):
        settings["weights file"] = config["weights"]
    return settings | _searched(config.get("search"))


def data_settings_of(record: Record) -> Settings:
    """Return the given settings of a record's data that differ from its definition's; paths are not in a record."""
    params = _plain_part(record.config, "data_params")
    own = _plain_part(_plain_part(record.config, "definition"), "data")
    keys = [str(key) for key in record.config.get("given") or ()]
    given = {key: params.get(key.removeprefix("data.")) for key in keys if key.startswith("data.")}
    return {
        key: value for key, value in given.items() if value is not None and value != own.get(key.removeprefix("data."))
    }


def _plain_part(plain: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a part of a configuration, empty where it is absent or, in a record by others, something else."""
    part = plain.get(name)
    return part if isinstance(part, dict) else {}


def _shared_data(records: Sequence[Record]) -> set[tuple[str, str]]:
    """Return the settings of the data, with their values, that all records have: they are those of the board."""
    each = [{(name, _text(value)) for name, value in data_settings_of(record).items()} for record in records]
    return set.intersection(*each) if each else set()


def _named(records: Sequence[Record], shared: AbstractSet[tuple[str, str]]) -> list[tuple[Record, str]]:
    """Return records of one model with their names; `shared`: settings that tell no record from another."""
    every = [{**settings_of(record), **data_settings_of(record)} for record in records]
    settings = [
        {name: _text(value) for name, value in own.items() if (name, _text(value)) not in shared} for own in every
    ]
    varied = _differing(settings)
    order = _order(records)
    shown = [_given(record) & set(own) for record, own in zip(records, settings, strict=True)]
    if len(varied) <= FEW_VARIED:
        shown = [wanted | (varied & set(own)) for wanted, own in zip(shown, settings, strict=True)]
    while _tell_apart(settings, shown, order):
        pass
    return [(record, _label(own, wanted, order)) for record, own, wanted in zip(records, settings, shown, strict=True)]


def _tell_apart(settings: Sequence[Mapping[str, str]], shown: Sequence[set[str]], order: Mapping[str, int]) -> bool:
    """Add to `shown` the settings that distinguish configurations of one name; return whether any was added."""
    alike: dict[str, list[int]] = defaultdict(list)
    for index, (own, wanted) in enumerate(zip(settings, shown, strict=True)):
        alike[_label(own, wanted, order)].append(index)
    added = False
    for indices in alike.values():
        for name in _differing([settings[index] for index in indices]):
            for index in indices:
                added = added or (name in settings[index] and name not in shown[index])
                shown[index].update({name} & set(settings[index]))
    return added


def _differing(settings: Sequence[Mapping[str, str]]) -> set[str]:
    """Return the names of settings whose values differ."""
    first = settings[0]
    return {name for own in settings for name in {*own, *first} if own.get(name) != first.get(name)}


def _given(record: Record) -> set[str]:
    always = {"select", "weights file", "fit.budget"}
    return always | {_short(key, record.model.name) for key in record.config.get("given") or ()}


def _order(records: Sequence[Record]) -> dict[str, int]:
    """Return the position of each given setting: in the order of the requests, the longest first."""
    requests = {tuple(_short(str(key), r.model.name) for key in r.config.get("given") or ()) for r in records}
    names = dict.fromkeys(name for given in sorted(requests, key=lambda given: (-len(given), given)) for name in given)
    return {name: place for place, name in enumerate(names)}


def _label(settings: Mapping[str, str], shown: Iterable[str], order: Mapping[str, int]) -> str:
    names = sorted(shown, key=lambda name: (order.get(name, len(order)), name))
    return ", ".join(f"{name}={settings[name]}" for name in names)


def _short(key: str, model: str) -> str:
    place, _, name = key.partition(".")
    return name if place in ("model", model) else key


def _searched(search: Mapping[str, Any] | None) -> Settings:
    """Return the searched values instead of the chosen one: seeds of one row may choose differently."""
    if not search:
        return {}
    shown = {}
    for key, values in search["space"].items():
        texts = [values] if isinstance(values, str) else [_text(value) for value in values]
        few = [*texts[:2], "...", texts[-1]] if len(texts) > SPACE_SHOWN else texts
        shown[key.removeprefix("model.")] = "|".join(few)
    trials = f" of {search['trials']}" if search.get("trials") else ""
    return {**shown, "select": f"{search['method']}{trials}"}


def _text(value: Any) -> str:
    return short_digests(shown(value))
