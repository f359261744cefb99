"""The tables of docs/plugins.md that say what models of each kind get and return, as the kinds declare it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from mlcvbench.specs import Field

KINDS = ("classification", "detection", "segmentation", "verification", "depth")


def declared(kind: str) -> Sequence[Field]:
    """Return what a built-in task kind declares."""
    (spec,) = importlib.import_module(f"mlcvbench_{kind}").mlcvbench_tasks()
    return tuple(spec.fields)


def table(kind: str) -> str:
    """Return the table of a kind in Markdown; a place is named in its first row."""
    lines, before = ["| " + kind + " | name | dtype and shape | meaning |", "|---|---|---|---|"], ""
    for field in declared(kind):
        place = "" if field.place == before else field.place
        lines.append(f"| {place} | `{field.name}` | {field.form} | {field.text} |")
        before = field.place
    return "\n".join(lines) + "\n"
