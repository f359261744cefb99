"""Completions of the command line: keys, values and names, from the tables with which requests are parsed.

Nothing heavy is imported and nothing is refused: a shell asks while a user types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mlcvbench.plan.config import Definition
from mlcvbench.plan.search import PLACES, SEARCH_KEYS
from mlcvbench.plan.vocabulary import REQUEST_KEYS, RUN_KEYS
from mlcvbench.registry import Entry, Registry, get_registry
from mlcvbench.specs import DatasetSpec, ModelSpec, Param

Kind = Literal["plain", "file"]
BENCHMARK_KEYS = {**REQUEST_KEYS, **{name: key.param for name, key in RUN_KEYS.items()}, **SEARCH_KEYS}


class Offer(NamedTuple):
    """A complete word that fits here; `file`: a path, of which `word` is the part typed so far."""

    word: str
    help: str = ""
    kind: Kind = "plain"


class Asked:
    """The words before the typed one, and the benchmark, models and data they name so far."""

    def __init__(self, words: Sequence[str], registry: Registry | None = None) -> None:
        self.given = {key: value for key, equals, value in (word.partition("=") for word in words) if equals}
        self.registry = registry or get_registry()

    @cached_property
    def definition(self) -> Definition | None:
        """The definition of `task=`; None when it names none yet."""
        from mlcvbench.plan.definition_files import SUFFIXES, definition_files
        from mlcvbench.plan.definitions import read_definition

        task = self.given.get("task", "")
        files = definition_files(self.registry)
        if task.endswith(SUFFIXES):
            paths = [Path(task).expanduser()]
        elif task in files:
            default = self.registry.task(task).spec.default
            paths = [files[task][default]] if default in files[task] else []
        else:
            paths = [named[task] for named in files.values() if task in named]
        return read_definition(paths[0], self.registry) if paths else None

    @property
    def kind(self) -> str | None:
        """The task kind; None as long as it is not known."""
        return self.definition.kind if self.definition else None

    def models(self) -> list[ModelSpec]:
        """Return the requested models: those of `model=`, or the starter models of the benchmark."""
        named = self.given.get("model")
        names = named.split(",") if named else list(self.definition.models if self.definition else ())
        return [spec for name in names for spec in self._model(name)]

    def dataset(self) -> DatasetSpec | None:
        """Return the requested data set."""
        name = self.given.get("data") or (self.definition.dataset if self.definition else "")
        found = [entry.spec for entry in self.registry.datasets(self.kind) if entry.spec.name == name]
        return found[0] if found else None

    def settings(self) -> dict[str, Param]:
        """Return the settings that models and data set declare, with their places."""
        models, dataset = self.models(), self.dataset()
        found = {
            f"{place}.{param.name}": param for model in models for place in PLACES for param in model.declared(place)
        }
        if len(models) > 1:
            for model in models:
                found |= {f"{model.name}.{param.name}": param for param in model.params}
                found |= {f"{model.name}.fit.{param.name}": param for param in model.fit}
        return found | {f"data.{param.name}": param for param in (dataset.params if dataset else ())}

    def _model(self, name: str) -> Iterable[ModelSpec]:
        for entry in self.registry.models(self.kind):
            if entry.spec.name == name or (entry.spec.name.endswith(":") and name.startswith(entry.spec.name)):
                yield entry.spec
                return


def complete_setting(
    word: str, asked: Asked, keys: Mapping[str, Param], declared: Mapping[str, Param] | None = None
) -> list[Offer]:
    """Return the completions of a word `KEY=VALUE`: `keys` are the command's, `declared` those of models and data.

    For declared keys only the place is offered until it is typed: a fit has dozens.
    """
    key, equals, value = word.partition("=")
    known = {**keys, **(declared or {})}
    if equals:
        return [offer._replace(word=f"{key}={offer.word}") for offer in _values(key, value, known, asked)]
    offers = [Offer(f"{name}=", param.help) for name, param in known.items() if name not in asked.given]
    places = {f"{name.partition('.')[0]}." for name in declared or ()}
    if not word.startswith(tuple(places)):
        offers = [offer for offer in offers if offer.word[:-1] in keys]
        offers += [Offer(place, "its settings") for place in sorted(places)]
    return [offer for offer in offers if offer.word.startswith(word)]


def names_of_all(registry: Registry) -> list[Offer]:
    """Return every name that `mlcvbench info` takes."""
    from mlcvbench.plan.definition_files import definition_names

    entries: list[Entry[Any]] = [*registry.tasks(), *registry.models(), *registry.datasets()]
    found = {entry.spec.name: entry.spec.summary for entry in entries}
    for kind, names in definition_names(registry).items():
        found |= {name: f"a benchmark of {kind}" for name in names if name not in found}
    return [Offer(name, summary) for name, summary in sorted(found.items())]


def data_names(registry: Registry) -> list[Offer]:
    """Return the names of data sets and definitions."""
    from mlcvbench.plan.definition_files import definition_names

    found = {entry.spec.name: entry.spec.summary for entry in registry.datasets()}
    for names in definition_names(registry).values():
        found |= {name: "a benchmark" for name in names if name not in found}
    return [Offer(name, summary) for name, summary in sorted(found.items())]


def run_ids(folder: Path) -> list[Offer]:
    """Return the stored runs of a folder."""
    found = folder.iterdir() if folder.is_dir() else ()
    return [Offer(path.name) for path in sorted(found) if (path / "record.json").is_file()]


def _values(key: str, value: str, known: Mapping[str, Param], asked: Asked) -> list[Offer]:
    """Return the completions of a value, or of the last item of a list."""
    param = known.get(key)
    if param is None:
        return []
    if param.type == "path":
        return [Offer(value, kind="file")]
    before, comma, last = value.rpartition(",")
    named = key in NAMES and not param.choices
    found = NAMES[key](asked, last) if named else _accepted(param, asked)
    taken = set(before.split(","))
    return [
        Offer(f"{before}{comma}{offer.word}", offer.help)
        for offer in found
        if offer.word.startswith(last) and offer.word not in taken
    ]


def _accepted(param: Param, asked: Asked) -> list[Offer]:
    if param.type == "model":
        return _each_once(entry.spec for entry in asked.registry.models(asked.kind))
    if param.type == "bool":
        return [Offer("true"), Offer("false")]
    return [Offer(str(choice)) for choice in param.choices]


def _tasks(asked: Asked, _: str) -> list[Offer]:
    from mlcvbench.plan.definition_files import definition_names

    kinds = [Offer(entry.spec.name, entry.spec.summary) for entry in asked.registry.tasks()]
    names = definition_names(asked.registry)
    return kinds + [Offer(name, f"a benchmark of {kind}") for kind in names for name in names[kind]]


def _models(asked: Asked, typed: str) -> list[Offer]:
    """Return models; those of a hub once its colon is typed, as far as its names are cached."""
    from mlcvbench.registry.open_names import remembered_names

    entries = asked.registry.models(asked.kind)
    offers = _each_once(entry.spec for entry in entries)
    for entry in entries:
        if entry.spec.name.endswith(":") and typed.startswith(entry.spec.name):
            offers += [Offer(f"{entry.spec.name}{name}") for name in remembered_names(entry.spec, entry.origin)]
    return offers


def _datasets(asked: Asked, _: str) -> list[Offer]:
    return _each_once(entry.spec for entry in asked.registry.datasets(asked.kind))


def _each_once(specs: Iterable[ModelSpec | DatasetSpec]) -> list[Offer]:
    """Return names with what they mean; of a name that several task kinds have, the first."""
    found: dict[str, str] = {}
    for spec in specs:
        found.setdefault(spec.name, spec.summary)
    return [Offer(name, summary) for name, summary in found.items()]


NAMES: dict[str, Callable[[Asked, str], list[Offer]]] = {"task": _tasks, "model": _models, "data": _datasets}
"""Keys whose values are names."""
