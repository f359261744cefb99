"""Benchmark definitions: YAML files, checked against a schema, found in the task packages or at a path."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcvbench.errors import (
    DefinitionError,
    OverrideError,
    RequestError,
    UnknownNameError,
    did_you_mean,
)
from mlcvbench.files.yaml_tree import Mapping, Node, Scalar, Sequence, read_yaml
from mlcvbench.plan.config import Definition
from mlcvbench.plan.definition_files import SUFFIXES, definition_files, definition_names
from mlcvbench.plan.words import owner_of
from mlcvbench.registry import Registry
from mlcvbench.specs import NAME_PATTERN, Param, load_target
from mlcvbench.specs.values import absolute, check_value, parse_setting, wanted
from mlcvbench.storage.digests import content_hash

if TYPE_CHECKING:
    from mlcvbench.contract import Task

__all__ = ["TASK_MARK", "definition_files", "definition_names", "load_definition", "read_definition"]

TASK_MARK = "+"
"""Joins the names of a definition and of the other data set it is applied to, as in `digits+idx`; files cannot use
it."""
_TEXTS = (
    Param("name", "str", required=True),
    Param("kind", "str", required=True),
    Param("protocol", "str", required=True),
    Param("summary", "str"),
    Param("title", "str"),
    Param("version", "int", 1, low=1, high=10**6),
)
_KEYS = (*(param.name for param in _TEXTS), "data", "metrics", "columns", "models", "starter", "fit")
_PROSE = ("summary", "title")
"""Keys whose text may span several lines of the file."""
ANY_CLASS = "CLASS"
"""Stands for a class in the metric names of `Task.metrics_of`."""
_BUDGET = Param("budget", "float", low=0)
_WORD = Param("", "str")


def load_definition(reference: str, registry: Registry) -> Definition:
    """Return the definition that `task=` names: a task kind (its default), a definition's name, or a YAML path.

    UnknownNameError suggests the nearest names; DefinitionError names file and line.
    """
    if reference.endswith(SUFFIXES):
        return _own_definition(Path(reference).expanduser(), registry)
    files = definition_files(registry)
    for entry in registry.tasks():
        if entry.spec.name == reference:
            if entry.spec.default not in files[reference]:
                raise DefinitionError(
                    f"task {reference!r}: its default definition {entry.spec.default!r} is not among its definitions."
                    f"{did_you_mean(entry.spec.default, files[reference])}"
                )
            return read_definition(files[reference][entry.spec.default], registry)
    found = {kind: names[reference] for kind, names in files.items() if reference in names}
    if len(found) > 1:
        raise RequestError(f"definition {reference!r} exists for the tasks {', '.join(sorted(found))}; give its path.")
    for path in found.values():
        return read_definition(path, registry)
    for data in registry.datasets():
        if data.spec.name == reference:
            kind = data.spec.kinds[0]
            raise RequestError(f"{reference!r} is a data set, not a task; say task={kind} data={reference}.")
    raise UnknownNameError("task", reference, [*files, *(name for names in files.values() for name in names)])


def _own_definition(path: Path, registry: Registry) -> Definition:
    """Read a user's file; its name must not be that of an installed definition."""
    definition = read_definition(path, registry, installed=False, checked=True)
    twin = definition_files(registry).get(definition.kind, {}).get(definition.name)
    if twin is not None and twin.read_bytes() != path.read_bytes():
        raise DefinitionError(f"{path}: the name {definition.name!r} is an installed definition's; choose another.")
    return definition if twin is not None else replace(definition, file=path.name, sha256=content_hash(path))


def read_definition(path: Path, registry: Registry, *, installed: bool = True, checked: bool = False) -> Definition:
    """Return the definition in a YAML file; DefinitionError names file and line.

    An installed definition has the name of its file. `checked`: check that the task kind, which is imported for this,
    has the protocol and the metrics; for installed ones `mlcvbench plugin doctor` does it.
    """
    root = read_yaml(path)
    if not isinstance(root, Mapping):
        raise DefinitionError(f"{path}:{root.line}: wanted a mapping with the keys {', '.join(_KEYS)}.")
    reader = _Reader(path, root)
    texts = reader.texts()
    if not NAME_PATTERN.fullmatch(texts["name"]) or TASK_MARK in texts["name"]:
        raise reader.error("name", f"{texts['name']!r} is not a name (letters, digits and ._:-, at most 100)")
    if installed and texts["name"] != path.stem:
        raise reader.error("name", f"wanted {path.stem!r}, as the file is called, got {texts['name']!r}")
    kinds = [entry.spec.name for entry in registry.tasks()]
    if texts["kind"] not in kinds:
        raise reader.error("kind", f"unknown task kind {texts['kind']!r}", texts["kind"], kinds)
    dataset, data = reader.data(registry, texts["kind"])
    metrics = reader.names("metrics")
    if checked:
        reader.check_scored(load_target(registry.task(texts["kind"]).spec.target)(), texts["protocol"])
    return Definition(
        **{name: value for name, value in texts.items() if value is not None} | {"summary": texts["summary"] or ""},
        dataset=dataset,
        data=data,
        metrics=metrics,
        columns=reader.names("columns"),
        models=reader.names("models"),
        starter=reader.starter(),
        fit_budget=reader.budget(),
    )


class _Reader:
    """Takes the schema's fields out of a parsed file; every error names file and line."""

    def __init__(self, path: Path, root: Mapping) -> None:
        self.path, self.root = path, root
        for key, line in root.lines.items():
            if key not in _KEYS:
                raise DefinitionError(f"{path}:{line}: unknown key {key!r}.{did_you_mean(key, _KEYS)}")
        for key in [*(param.name for param in _TEXTS if param.required), "data"]:
            if key not in root.items:
                raise DefinitionError(f"{path}:{root.line}: the key {key!r} is missing.")

    def error(self, key: str, problem: str, name: str = "", known: Iterable[str] = ()) -> DefinitionError:
        hint = did_you_mean(name, known) if name else ""
        return DefinitionError(f"{self.path}:{self.root.lines[key]}: {key}: {problem}.{hint}")

    def texts(self) -> dict[str, Any]:
        return {
            param.name: self._typed(param, self.root.items[param.name], param.name)
            if param.name in self.root.items
            else param.default
            for param in _TEXTS
        }

    def names(self, key: str) -> tuple[str, ...]:
        node = self.root.items.get(key)
        if node is None:
            return ()
        if not isinstance(node, Sequence) or not all(isinstance(item, Scalar) for item in node.items):
            raise DefinitionError(f"{self.path}:{node.line}: {key}: wanted a list of names like [a, b].")
        if not node.items and key == "metrics":
            raise self.error(key, "the list is empty; name those to show first, or omit the key to show all")
        names = tuple(item.text for item in node.items if isinstance(item, Scalar))
        for name in names:
            if not NAME_PATTERN.fullmatch(name):
                raise self.error(key, f"{name!r} is not a name")
            if names.count(name) > 1:
                raise self.error(key, f"{name!r} is listed twice")
        return names

    def starter(self) -> dict[str, str]:
        """Return the settings of starter models, `MODEL.NAME` or `MODEL.fit.NAME`, as the command line takes them."""
        node = self.root.items.get("starter")
        if node is None:
            return {}
        if not isinstance(node, Mapping):
            raise DefinitionError(f"{self.path}:{node.line}: starter: wanted a mapping like {{knn.k: 5}}.")
        models = self.names("models")
        for key, line in node.lines.items():
            if owner_of(key, models) is None:
                raise DefinitionError(
                    f"{self.path}:{line}: starter: wanted settings of a starter model, such as MODEL.NAME, got {key!r}."
                )
        try:
            return {key: _text_of(_WORD, child, key) for key, child in node.items.items()}
        except OverrideError as error:
            raise DefinitionError(f"{self.path}:{node.line}: starter: {error}") from None

    def check_scored(self, task: Task, protocol: str) -> None:
        """Refuse a protocol that the task kind lacks, or metrics that the protocol lacks."""
        try:
            known = _names(task, protocol)
        except UnknownNameError as error:
            raise DefinitionError(f"{self.path}:{self.root.lines['protocol']}: protocol: {error}") from None
        for key in ("metrics", "columns"):
            node = self.root.items.get(key)
            for item in node.items if isinstance(node, Sequence) else ():
                name = item.text if isinstance(item, Scalar) else ""
                if name not in known and not _may_be_of_a_class(name, known):
                    others = [other for other in task.protocols() if name in _names(task, other)]
                    hint = f" Protocol {others[0]!r} has it." if others else did_you_mean(name, known)
                    raise DefinitionError(
                        f"{self.path}:{item.line}: {key}: protocol {protocol!r} has no metric {name!r}.{hint}"
                    )

    def budget(self) -> float | None:
        node = self.root.items.get("fit")
        if node is None:
            return None
        if not isinstance(node, Mapping):
            raise DefinitionError(f"{self.path}:{node.line}: fit: wanted a mapping like {{budget: 600}}.")
        for key, line in node.lines.items():
            if key != _BUDGET.name:
                raise DefinitionError(f"{self.path}:{line}: fit: unknown key {key!r}.{did_you_mean(key, ['budget'])}")
        child = node.items.get("budget")
        return None if child is None else float(self._typed(_BUDGET, child, "fit.budget"))

    def data(self, registry: Registry, kind: str) -> tuple[str, dict[str, Any]]:
        """Return the data set's name and its settings, typed as its spec says; a path is relative to the file."""
        node = self.root.items["data"]
        if isinstance(node, Scalar):
            node = Mapping({"name": node}, {"name": node.line}, node.line)
        if not isinstance(node, Mapping) or not isinstance(chosen := node.items.get("name"), Scalar):
            raise DefinitionError(f"{self.path}:{node.line}: data: wanted a mapping with the data set's name.")
        try:
            spec = registry.dataset(chosen.text, kind).spec
        except UnknownNameError as error:
            raise DefinitionError(f"{self.path}:{chosen.line}: data: {error}") from None
        params = {param.name: param for param in spec.params}
        values = {}
        for key, child in node.items.items():
            if key == "name":
                continue
            if key not in params:
                hint = did_you_mean(key, params)
                raise DefinitionError(
                    f"{self.path}:{node.lines[key]}: data: data set {spec.name!r} has no setting {key!r}.{hint}"
                )
            values[key] = self._typed(params[key], child, f"data.{key}")
        return spec.name, values

    def _typed(self, param: Param, node: Node, key: str) -> Any:
        try:
            text = _text_of(param, node, key)
            if param.type == "path" and text:
                return check_value(param, absolute(str(self.path.parent / Path(text).expanduser())), key)
            if param.name in _PROSE:
                text = " ".join(text.split())
            if param.type == "str" and (text or (isinstance(node, Scalar) and node.quoted)):
                return check_value(param, text, f"{key}: {text}")
            return parse_setting(param, text, key)
        except OverrideError as error:
            raise DefinitionError(f"{self.path}:{node.line}: {error}") from None


def _names(task: Task, protocol: str) -> list[str]:
    return [metric.name for metric in task.metrics_of(protocol)]


def _may_be_of_a_class(name: str, known: Iterable[str]) -> bool:
    """Return whether a metric is named like a per-class one, so that only the data decide if it exists.

    >>> _may_be_of_a_class("iou_dog", ["miou", "iou_CLASS"])
    True
    """
    return any(name.startswith(one.partition(ANY_CLASS)[0]) for one in known if ANY_CLASS in one)


def _text_of(param: Param, node: Node, key: str) -> str:
    """Return a node as command-line text; a list becomes `[a,b]`, and quoted text is accepted for text settings
    only.
    """
    if isinstance(node, Sequence) and param.type in {"ints", "floats"}:
        return "[" + ",".join(_text_of(Param("", "str"), item, key) for item in node.items) + "]"
    if not isinstance(node, Scalar) or param.type in {"ints", "floats"}:
        raise OverrideError(f"{key}: wanted {'a list' if param.type in {'ints', 'floats'} else 'one plain value'}.")
    if node.quoted and param.type not in {"str", "path"}:
        raise OverrideError(f'{key}: wanted {wanted(param)}, got the quoted text "{node.text}"; drop the quotes.')
    return node.text
