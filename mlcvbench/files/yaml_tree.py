"""Reads untrusted YAML: bounded, without aliases, anchors or tags, every value kept as text.

YAML guesses types (`no` is false, `1:30` is 90, `0123` is 83). Here a scalar stays the text that was written and the
schema decides what it is. The tree is built from the parser's events, so nothing is ever constructed from tags, and
nesting is bounded before anything recurses.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from mlcvbench.errors import DefinitionError
from mlcvbench.limits import MAX_YAML_BYTES, MAX_YAML_DEPTH


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar as written; `quoted` tells `"5"` from `5`. `line` counts from 1."""

    text: str
    line: int
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list of nodes."""

    items: list[Node]
    line: int


@dataclass(frozen=True, slots=True)
class Mapping:
    """Nodes by key; `lines` says where each key stands."""

    items: dict[str, Node]
    lines: dict[str, int]
    line: int


Node: TypeAlias = Scalar | Sequence | Mapping


def read_yaml(path: Path) -> Node:
    """Return the one document of a YAML file; DefinitionError names the file, the line and what was wanted."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DefinitionError(f"{path}: wanted a YAML file, got something that is not a plain file.")
        if status.st_size > MAX_YAML_BYTES:
            raise DefinitionError(f"{path}: is {status.st_size} bytes; the most for a YAML file is {MAX_YAML_BYTES}.")
        with path.open("rb") as file:
            data = file.read(MAX_YAML_BYTES + 1)
    except FileNotFoundError:
        raise DefinitionError(f"{path}: no such file.") from None
    except OSError as error:
        raise DefinitionError(f"{path}: cannot be read: {error.strerror}.") from None
    return parse_yaml(data, str(path))


def parse_yaml(data: bytes, where: str) -> Node:
    """Return the one document of `data`. `where` begins every message.

    >>> parse_yaml(b"a: no", "x.yaml").items["a"].text
    'no'
    """
    if len(data) > MAX_YAML_BYTES:
        raise DefinitionError(f"{where}: is {len(data)} bytes; the most for a YAML file is {MAX_YAML_BYTES}.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DefinitionError(f"{where}:{line}: is not UTF-8 text.") from None
    import yaml

    try:
        root = _document(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)), where)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else text[: getattr(error, "position", 0)].count("\n") + 1
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be parsed"
        if "nesting depth" in problem:  # libyaml's own bound, in some versions met before ours
            raise DefinitionError(_too_deep(where, line)) from None
        raise DefinitionError(f"{where}:{line}: is not valid YAML: {problem}.") from None
    if root is None:
        raise DefinitionError(f"{where}: is empty.")
    return root


def _document(events: Iterator[Any], where: str) -> Node | None:
    """Build the tree with a stack of open collections; the stack's height is the depth."""
    stack: list[_Open] = []
    root: Node | None = None
    for event in events:
        line = event.start_mark.line + 1
        node: Node | None = None
        match type(event).__name__:
            case "DocumentStartEvent" if root is not None:
                raise DefinitionError(f"{where}:{line}: wanted one YAML document, got a second one.")
            case "SequenceStartEvent" | "MappingStartEvent" as kind:
                _refuse_extras(event, where, line)
                if len(stack) >= MAX_YAML_DEPTH:
                    raise DefinitionError(_too_deep(where, line))
                stack.append(_Open(Sequence([], line) if kind[0] == "S" else Mapping({}, {}, line)))
            case "SequenceEndEvent" | "MappingEndEvent":
                node = stack.pop().node
            case "ScalarEvent" | "AliasEvent":
                _refuse_extras(event, where, line)
                node = Scalar(event.value, line, quoted=bool(event.style))
        if node is not None and stack:
            stack[-1].add(node, where)
        elif node is not None:
            root = node
    return root


def _too_deep(where: str, line: int) -> str:
    return f"{where}:{line}: is nested deeper than {MAX_YAML_DEPTH} levels."


def _refuse_extras(event: Any, where: str, line: int) -> None:
    if event.anchor is not None:
        what = "an alias (*name)" if type(event).__name__ == "AliasEvent" else "an anchor (&name)"
        raise DefinitionError(f"{where}:{line}: {what} is not allowed here; write the value out.")
    if getattr(event, "tag", None) is not None:
        raise DefinitionError(f"{where}:{line}: the tag {event.tag!r} is not allowed here; only plain values are.")


class _Open:
    """A collection under construction; a mapping remembers the key whose value comes next."""

    def __init__(self, node: Sequence | Mapping) -> None:
        self.node = node
        self._key: Scalar | None = None

    def add(self, child: Node, where: str) -> None:
        if isinstance(self.node, Sequence):
            self.node.items.append(child)
        elif self._key is not None:
            self.node.items[self._key.text] = child
            self.node.lines[self._key.text] = self._key.line
            self._key = None
        elif not isinstance(child, Scalar):
            raise DefinitionError(f"{where}:{child.line}: a key must be plain text.")
        elif child.text in self.node.items:
            first = self.node.lines[child.text]
            raise DefinitionError(
                f"{where}:{child.line}: the key {child.text!r} is given twice, first in line {first}."
            )
        else:
            self._key = child
