"""Finds plugins, quarantines broken ones with the reason, and looks up what the others declare.

Built-in plugins use the same entry points as third-party ones. A plugin that cannot be used never stops the others: it
is quarantined, and `mlcvbench plugin doctor` shows why.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar, cast

import pluggy

from mlcvbench import hookspecs
from mlcvbench.errors import PluginError, RequestError, UnknownNameError, said_by
from mlcvbench.registry.entry_points import EntryPoint, find_entry_points, normalise
from mlcvbench.registry.hooks import Observers, check_hooks
from mlcvbench.specs import DatasetSpec, ModelSpec, Origin, TaskSpec
from mlcvbench.specs.checks import SPEC_TYPES, Spec, check_hook_result, check_kinds

_WORDS: dict[type[Any], str] = {TaskSpec: "task", DatasetSpec: "data set", ModelSpec: "model"}
SpecT = TypeVar("SpecT", TaskSpec, DatasetSpec, ModelSpec)


@dataclass(frozen=True, slots=True)
class Entry(Generic[SpecT]):
    """A registered spec and where it came from."""

    spec: SpecT
    origin: Origin


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A quarantined plugin: its entry point and distribution, one sentence why, and the traceback if any."""

    plugin: str
    distribution: str
    reason: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plugin before it is accepted; `load` imports it."""

    origin: Origin
    load: Callable[[], Any]


class Registry:
    """What the installed plugins declare. Build one with `get_registry`, `discover` or `Registry.of`."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self.quarantined: list[Quarantined] = []
        self.plugins: list[Origin] = []
        self._entries: dict[type[Any], list[Entry[Any]]] = {kind: [] for kind in _WORDS}
        loaded = [(c, specs) for c in candidates if (specs := self._guard(c, partial(self._load, c))) is not None]
        declared = [spec for _, specs in loaded for spec in specs]
        kinds = {spec.name for spec in declared if isinstance(spec, TaskSpec)}
        inputs = {kind for spec in declared if isinstance(spec, DatasetSpec) for kind in spec.provides}
        for candidate, specs in loaded:
            if self._guard(candidate, partial(self._admit, candidate, specs, kinds, inputs)):
                self.plugins.append(candidate.origin)
        self.hook = Observers(self._manager)

    @staticmethod
    def of(plugins: Mapping[str, Any]) -> Registry:
        """Return a registry of the given modules or objects by plugin name, ignoring installed plugins."""
        return Registry(
            [
                Candidate(Origin(name, "given", "0", _package(plugin)), partial(_identity, plugin))
                for name, plugin in plugins.items()
            ]
        )

    def tasks(self) -> list[Entry[TaskSpec]]:
        """Return the task kinds, by name."""
        return self._select(TaskSpec, None)

    def datasets(self, kind: str | None = None) -> list[Entry[DatasetSpec]]:
        """Return the data sets (of one task kind), by name."""
        return self._select(DatasetSpec, kind)

    def models(self, kind: str | None = None) -> list[Entry[ModelSpec]]:
        """Return the models (of one task kind), by name."""
        return self._select(ModelSpec, kind)

    def task(self, kind: str) -> Entry[TaskSpec]:
        """Return a task kind; UnknownNameError suggests the nearest."""
        return self._one(TaskSpec, kind, None)

    def dataset(self, name: str, kind: str | None = None) -> Entry[DatasetSpec]:
        """Return a data set (of one task kind); UnknownNameError suggests the nearest."""
        return self._one(DatasetSpec, name, kind)

    def model(self, name: str, kind: str | None = None) -> Entry[ModelSpec]:
        """Return a model (of one task kind); UnknownNameError suggests the nearest.

        A spec whose name ends in a colon, such as `timm:`, matches every name that begins with it.
        """
        return self._one(ModelSpec, name, kind)

    def named(
        self, kind: str, dataset: str, model: str
    ) -> tuple[Entry[TaskSpec], Entry[DatasetSpec], Entry[ModelSpec] | None]:
        """Return a task kind, one of its data sets and one of its models, None where no plugin has that.

        UnknownNameError when there is no such task kind or data set. What a missing model could have meant is not
        asked, which takes seconds of a library that has not been imported yet.
        """
        task, data = self.task(kind), self.dataset(dataset, kind)
        return task, data, next(iter(self._named(ModelSpec, model, kind)), None)

    def runnable(self, name: str, kind: str) -> Entry[ModelSpec]:
        """Return a model as `model` does; RequestError for one like `timm:` without a name after the colon."""
        entry = self.model(name, kind)
        if name.endswith(":"):
            raise RequestError(
                f"model={name}: wanted a network's name after the colon, as `mlcvbench info {name}` shows."
            )
        return entry

    def _select(self, kind_of_spec: type[SpecT], kind: str | None) -> list[Entry[SpecT]]:
        entries = cast(list[Entry[SpecT]], self._entries[kind_of_spec])
        chosen = [e for e in entries if kind is None or kind in getattr(e.spec, "kinds", (e.spec.name,))]
        return sorted(chosen, key=lambda entry: entry.spec.name)

    def _one(self, kind_of_spec: type[SpecT], name: str, kind: str | None) -> Entry[SpecT]:
        entries, found = self._select(kind_of_spec, kind), self._named(kind_of_spec, name, kind)
        word = _WORDS[kind_of_spec]
        if not found:
            if asked := _open_ended(entries, name):
                _refuse_unknown(asked, name)
            what = word if kind is None or kind_of_spec is TaskSpec else f"{kind} {word}"
            elsewhere = [entry.spec for entry in self._select(kind_of_spec, None) if entry.spec.name == name]
            kinds = ", ".join(sorted({k for spec in elsewhere for k in getattr(spec, "kinds", ())}))
            hint = f" It is a {word} of task kind {kinds}." if kinds else _offer_open_names(name, entries)
            raise UnknownNameError(what, name, [entry.spec.name for entry in entries], hint)
        if len({entry.origin for entry in found}) > 1:
            several = sorted({k for entry in found for k in getattr(entry.spec, "kinds", ())})
            raise RequestError(
                f"{word} {name!r} exists for several task kinds: {', '.join(several)}; name the task kind."
            )
        return found[0]

    def _named(self, kind_of_spec: type[SpecT], name: str, kind: str | None) -> list[Entry[SpecT]]:
        """Return the specs of a name, else the open-ended one under it; none when that does not know the name."""
        entries = self._select(kind_of_spec, kind)
        found = [entry for entry in entries if entry.spec.name == name]
        return found or [answer for one in _open_ended(entries, name) if (answer := _answering(one, name)) is not None]

    def _guard(self, candidate: Candidate, step: Callable[[], Any]) -> Any:
        """Run a step of loading; an exception quarantines the plugin and returns None."""
        try:
            return step()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a plugin may raise anything, even SystemExit
            spoken = isinstance(error, PluginError)
            reason = str(error) if spoken else f"importing it raised {said_by(error).rstrip('.')}."
            bug = error.__cause__ if spoken else error
            details = "".join(traceback.format_exception(bug)) if bug is not None else ""
            name = candidate.origin.plugin
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            self.quarantined.append(Quarantined(name, candidate.origin.distribution, reason, details))
            return None

    def _load(self, candidate: Candidate) -> list[Spec]:
        plugin, name = candidate.load(), candidate.origin.plugin
        if self._manager.has_plugin(name) or self._manager.is_registered(plugin):
            raise PluginError(f"plugin {name!r} is already registered; its entry point is a second one.")
        check_hooks(plugin)
        try:
            self._manager.register(plugin, name=name)
        except pluggy.PluginValidationError as error:
            raise PluginError(f"a hook has the wrong arguments: {' '.join(str(error).split())}") from None
        specs: list[Spec] = []
        for hook in SPEC_TYPES:
            for implementation in getattr(self._manager.hook, hook).get_hookimpls():
                if implementation.plugin is plugin:
                    specs += check_hook_result(hook, _call(hook, implementation.function))
        return specs

    def _admit(self, candidate: Candidate, specs: Sequence[Spec], kinds: set[str], inputs: set[str]) -> bool:
        taken = {
            key: entry.origin.plugin
            for entries in self._entries.values()
            for entry in entries
            for key in _keys(entry.spec)
        }
        for spec in specs:
            if not isinstance(spec, TaskSpec):
                check_kinds(spec, kinds, inputs)
            for key in _keys(spec):
                if key in taken:
                    what, kind, name = key
                    where = f" of task kind {kind!r}" if kind else ""
                    raise PluginError(f"{what} {name!r}{where} is already provided by plugin {taken[key]!r}.")
                taken[key] = candidate.origin.plugin
        for spec in specs:
            self._entries[type(spec)].append(Entry(spec, candidate.origin))
        return True


def discover(path: Sequence[str] | None = None, extra: Sequence[EntryPoint] = ()) -> Registry:
    """Return a registry of the plugins installed on `path` (default `sys.path`).

    `extra` entry points are added; their distributions hide installed ones of the same name.
    """
    hidden = {normalise(entry_point.distribution) for entry_point in extra}
    installed = [e for e in find_entry_points(path) if normalise(e.distribution) not in hidden]
    return Registry([_candidate(entry_point) for entry_point in [*installed, *extra]])


_cached: Registry | None = None


def get_registry() -> Registry:
    """Return the registry of the installed plugins; they are imported on the first call."""
    global _cached  # noqa: PLW0603 - one registry per process; `using` replaces it in tests
    if _cached is None:
        _cached = discover()
    return _cached


def loaded_registry() -> Registry | None:
    """Return the registry if it was already built in this process."""
    return _cached


@contextmanager
def using(registry: Registry) -> Iterator[Registry]:
    """Make `get_registry` return `registry` inside a `with` block."""
    global _cached  # noqa: PLW0603 - see get_registry
    before, _cached = _cached, registry
    try:
        yield registry
    finally:
        _cached = before


def _offer_open_names(name: str, entries: Sequence[Entry[Any]]) -> str:
    from mlcvbench.registry.open_names import offer_open_names

    models = [(entry.spec, entry.origin) for entry in entries if isinstance(entry.spec, ModelSpec)]
    return offer_open_names(name, models) if models else ""


def _open_ended(entries: Sequence[Entry[SpecT]], name: str) -> list[Entry[SpecT]]:
    """Return the models whose prefix a name begins with, such as `timm:`."""
    return [e for e in entries if e.spec.name.endswith(":") and name.startswith(e.spec.name) and name != e.spec.name]


def _answering(entry: Entry[Any], name: str) -> Entry[Any] | None:
    """Return an open-ended model under the requested name; None when it lists its names and lacks this one."""
    prefix = entry.spec.name
    if entry.spec.names:
        from mlcvbench.registry.open_names import read_names, remembered_names

        asked, library = name.removeprefix(prefix), (entry.spec, entry.origin)
        if asked not in remembered_names(*library) and asked not in read_names(*library):
            return None
    return Entry(replace(entry.spec, name=name, prefix=prefix), entry.origin)


def _refuse_unknown(entries: Sequence[Entry[Any]], name: str) -> None:
    """Raise UnknownNameError for a name that open-ended models do not know, with the nearest of their names."""
    from mlcvbench.registry.open_names import read_names, remembered_names

    prefix, libraries = entries[0].spec.name, [(entry.spec, entry.origin) for entry in entries]
    known = [one for library in libraries for one in remembered_names(*library) or read_names(*library)]
    raise UnknownNameError(f"{prefix}NAME model", name.removeprefix(prefix), known)


def _candidate(entry_point: EntryPoint) -> Candidate:
    def load() -> Any:
        plugin = importlib.import_module(entry_point.module)
        for part in filter(None, entry_point.attribute.split(".")):
            plugin = getattr(plugin, part)
        return plugin

    package = entry_point.module.partition(".")[0]
    return Candidate(Origin(entry_point.name, entry_point.distribution, entry_point.version, package), load)


def _identity(plugin: Any) -> Any:
    return plugin


def _package(plugin: Any) -> str:
    return str(getattr(plugin, "__name__", "")).partition(".")[0]


def _call(hook: str, function: Callable[[], Any]) -> Any:
    try:
        return function()
    except (Exception, SystemExit) as error:
        said = str(error)
        end = "" if said.endswith(("?", ".")) else "."
        raise PluginError(f"{hook}() raised {said_by(error)}{end}") from error


def _keys(spec: Spec) -> list[tuple[str, str, str]]:
    word = _WORDS[type(spec)]
    return [(word, kind, spec.name) for kind in getattr(spec, "kinds", ("",))]
