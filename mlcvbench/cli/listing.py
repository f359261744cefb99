"""What is installed, as plain text of at most 80 columns or as JSON. Does not import click: `list` must start at
once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from mlcvbench.errors import UnknownNameError
from mlcvbench.registry import Entry, Registry, get_registry

SECTIONS = ("tasks", "models", "datasets", "plugins")


def list_text(what: str | None, as_json: bool) -> str:
    """Return the listing of one section, or of all. UnknownNameError for an unknown section."""
    if what and what not in SECTIONS:
        raise UnknownNameError("section", what, SECTIONS)
    registry = get_registry()
    sections = [what] if what else SECTIONS
    if as_json:
        import json

        found = {section: _READERS[section](registry) for section in sections}
        return json.dumps(found[what] if what else found, indent=2, ensure_ascii=False)
    return "\n\n".join(_PRINTERS[section](registry, terminal_width()) for section in sections)


def terminal_width(most: int = 80) -> int:
    """Return the width of the terminal, or `COLUMNS` if set, at most 80.

    >>> terminal_width(0)
    0
    """
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return min(most, int(given))
    try:
        return min(most, os.get_terminal_size().columns or most)
    except OSError:
        return most


def columns(rows: Sequence[tuple[str, str]], width: int, most: int = 24) -> list[str]:
    """Return rows of a name and a text, the text wrapped beside the names; a long name gets its own line."""
    from textwrap import wrap

    edge = min(max((len(name) for name, _ in rows), default=0), most) + 4
    lines: list[str] = []
    for name, text in rows:
        head = f"  {name}"
        wrapped = wrap(text, max(width - edge, 20)) or [""]
        if len(head) + 2 > edge:
            lines.append(head)
            head = ""
        lines.append(f"{head:<{edge}}{wrapped[0]}".rstrip())
        lines += [" " * edge + line for line in wrapped[1:]]
    return lines


def _print_tasks(registry: Registry, width: int) -> str:
    from mlcvbench.plan.definition_files import definition_names

    names = definition_names(registry)
    rows = []
    for entry in registry.tasks():
        default = entry.spec.default
        others = [name for name in names[entry.spec.name] if name != default]
        listed = ", ".join([f"{default} (default)", *others])
        rows += [(entry.spec.name, entry.spec.summary), ("", f"definitions: {listed}")]
    return _section("tasks", rows, width)


def _print_specs(title: str, entries: Iterable[Entry[Any]], width: int) -> str:
    """Return one block per task kind; a name of several kinds is listed in each."""
    listed = list(entries)
    kinds = sorted({kind for entry in listed for kind in entry.spec.kinds})
    blocks = [
        _section(
            f"{title}: {kind}",
            [(shown(entry.spec.name), entry.spec.summary) for entry in listed if kind in entry.spec.kinds],
            width,
        )
        for kind in kinds
    ]
    return "\n\n".join(blocks) if blocks else _section(title, [], width)


def _print_plugins(registry: Registry, width: int) -> str:
    rows = [(row["name"], row["provides"]) for row in _read_plugins(registry)]
    return _section("plugins", rows, width)


def _section(title: str, rows: Sequence[tuple[str, str]], width: int) -> str:
    return "\n".join([title, *(columns(rows, width) if rows else ["  none"])])


def shown(name: str) -> str:
    """Return a model's name as a user writes it: `timm:` takes a name after the colon.

    >>> shown("timm:")
    'timm:NAME'
    """
    return f"{name}NAME" if name.endswith(":") else name


def _read_tasks(registry: Registry) -> list[dict[str, Any]]:
    from mlcvbench.plan.definition_files import definition_names

    names = definition_names(registry)
    return [
        {
            "name": entry.spec.name,
            "summary": entry.spec.summary,
            "default": entry.spec.default,
            "definitions": names[entry.spec.name],
            "plugin": entry.origin.plugin,
        }
        for entry in registry.tasks()
    ]


def _read_specs(entries: Iterable[Entry[Any]]) -> list[dict[str, Any]]:
    return [
        {
            "name": entry.spec.name,
            "kinds": list(entry.spec.kinds),
            "summary": entry.spec.summary,
            "plugin": entry.origin.plugin,
        }
        for entry in entries
    ]


def _read_plugins(registry: Registry) -> list[dict[str, Any]]:
    rows = []
    for origin in registry.plugins:
        parts = {
            "task": [e.spec.name for e in registry.tasks() if e.origin == origin],
            "data set": [e.spec.name for e in registry.datasets() if e.origin == origin],
            "model": [e.spec.name for e in registry.models() if e.origin == origin],
        }
        counted = [f"{len(names)} {word}{'s' * (len(names) > 1)}" for word, names in parts.items() if names]
        where = f"{origin.distribution} {origin.version}"
        rows.append(
            {
                "name": origin.plugin,
                "distribution": origin.distribution,
                "version": origin.version,
                "ok": True,
                "provides": f"{', '.join(counted) or 'observes runs'} ({where})",
            }
        )
    rows += [
        {
            "name": broken.plugin,
            "distribution": broken.distribution,
            "version": None,
            "ok": False,
            "provides": f"cannot be used: {broken.reason}",
        }
        for broken in registry.quarantined
    ]
    return rows


_READERS: dict[str, Any] = {
    "tasks": _read_tasks,
    "datasets": lambda registry: _read_specs(registry.datasets()),
    "models": lambda registry: _read_specs(registry.models()),
    "plugins": _read_plugins,
}
_PRINTERS: dict[str, Any] = {
    "tasks": _print_tasks,
    "datasets": lambda registry, width: _print_specs("datasets", registry.datasets(), width),
    "models": lambda registry, width: _print_specs("models", registry.models(), width),
    "plugins": _print_plugins,
}
