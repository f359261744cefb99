"""Settings for reading predictions made elsewhere, such as `value=distance`, as declared by the task kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlcvbench.errors import OverrideError
from mlcvbench.specs import Param
from mlcvbench.specs.values import complete, existing, parse_setting, single

SCORE_KEYS = ("predictions", "as")
"""The file to read and the method's name: keys of every `score`."""


def take_reading(pairs: dict[str, str], params: Sequence[Param]) -> dict[str, Any]:
    """Remove the words of `params` from `pairs` and return every reading setting, typed.

    OverrideError names a value of the wrong type, a list, or a key that is given under both of its names.
    """
    given = {}
    for param in params:
        names = [name for name in (param.name, param.alias) if name in pairs]
        if len(names) > 1:
            raise OverrideError(f"keys {names[0]!r} and {names[1]!r} mean the same; give one of them.")
        for key in names:
            given[param.name] = existing(param, parse_setting(param, single(key, pairs.pop(key)), key), key)
    return complete(params, given)


def reading_names(params: Sequence[Param]) -> list[str]:
    """Return every key of `score` beyond those of a run."""
    return [*SCORE_KEYS, *(name for param in params for name in (param.name, param.alias) if name)]
