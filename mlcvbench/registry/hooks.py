"""Checks and calls hooks: refuses functions that are not hooks, and keeps observers from breaking a run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import pluggy

from mlcvbench import hookspecs
from mlcvbench.errors import PluginError, did_you_mean, said_by
from mlcvbench.specs.checks import SPEC_TYPES

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("mlcvbench_"))


class Observers:
    """Calls the observer hooks of every plugin. What an observer raises is reported once and never breaks a run."""

    def __init__(self, manager: pluggy.PluginManager) -> None:
        self._manager = manager
        self._reported: set[tuple[str, str]] = set()

    def __getattr__(self, hook: str) -> Callable[..., None]:
        if hook not in HOOKS or hook in SPEC_TYPES:
            raise AttributeError(f"{hook!r} is not an observer hook")

        def call(**facts: Any) -> None:
            for implementation in getattr(self._manager.hook, hook).get_hookimpls():
                self._call_one(hook, implementation, facts)

        return call

    def _call_one(self, hook: str, implementation: Any, facts: Mapping[str, Any]) -> None:
        try:
            # A copy each: an observer that edits what it is shown must not edit the run.
            implementation.function(*[deepcopy(facts[name]) for name in implementation.argnames])
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's code may raise anything
            key = (implementation.plugin_name, hook)
            if key not in self._reported:
                self._reported.add(key)
                print(
                    f"mlcvbench: warning: plugin {key[0]!r}: {hook} raised {said_by(error)}; ignored.",
                    file=sys.stderr,
                )


def check_hooks(plugin: Any) -> None:
    """Refuse what pluggy silently accepts: a misspelt hook, a forgotten `@hookimpl`, no hook at all."""
    marked, unmarked = [], []
    for name in dir(plugin):
        if not callable(value := getattr(plugin, name, None)):
            continue
        options = getattr(value, f"{hookspecs.PROJECT}_impl", None)
        if isinstance(options, dict):
            marked.append(options.get("specname") or name)
            if options.get("hookwrapper") or options.get("wrapper"):
                raise PluginError(f"hook {name!r} is a wrapper; hooks of mlcvbench are plain functions.")
        elif name.startswith("mlcvbench_"):
            unmarked.append(name)
    for name in marked:
        if name not in HOOKS:
            raise PluginError(f"{name!r} is not a hook of mlcvbench.{did_you_mean(name, HOOKS, most=1)}")
    forgotten = [name for name in unmarked if name in HOOKS]
    if forgotten:
        raise PluginError(f"function {forgotten[0]!r} is not marked with @mlcvbench.hookimpl.")
    if not marked:
        near = did_you_mean(unmarked[0], HOOKS, most=1) if unmarked else f" Known: {', '.join(HOOKS)}."
        found = f"; found the function {unmarked[0]!r}" if unmarked else ""
        raise PluginError(f"it implements no hook of mlcvbench{found}.{near}")
