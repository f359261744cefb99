"""Typed settings: turns the text of `model.k=5` (or of a YAML value) into what a spec's Param declares."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mlcvbench.errors import DataError, OverrideError, either
from mlcvbench.specs import Param

_INT = re.compile(r"[+-]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[+-]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?")
_BOOLS = {"true": True, "false": False, "on": True, "off": False, "yes": True, "no": False}
_WANTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "one line of text",
    "path": "a path",
    "ints": "a list of whole numbers like [64,64]",
    "floats": "a list of numbers like [0.5,0.5]",
    "model": "the name of a model, or [NAME,SETTING=VALUE]",
}


def parse_setting(param: Param, text: str, key: str) -> Any:
    """Return `text` as the value that `param` declares; OverrideError is one sentence beginning with `key`."""
    if not text:
        raise OverrideError(f"{key}: the value is empty; wanted {wanted(param)}.")
    what = f"{key}={text if text.isprintable() else repr(text)}"
    value = _PARSERS[param.type](text)
    if value is None:
        raise OverrideError(f"{what}: wanted {wanted(param)}.")
    return check_value(param, value, what)


def check_value(param: Param, value: Any, what: str) -> Any:
    """Return a typed value after checking type, bounds and choices; lists come back as `list`, paths absolute.

    OverrideError begins with `what`.
    """
    if not _IS[param.type](value):
        raise OverrideError(f"{what}: wanted {wanted(param)}, got {value!r}.")
    for number in value if isinstance(value, list | tuple) else [value]:
        too_low = param.low is not None and isinstance(number, int | float) and number < param.low
        too_high = param.high is not None and isinstance(number, int | float) and number > param.high
        if too_low or too_high:
            raise OverrideError(f"{what}: wanted {wanted(param)}.")
    if param.length is not None and len(value) != param.length:
        raise OverrideError(f"{what}: wanted {wanted(param)}.")
    if param.length is None and param.type in {"ints", "floats"} and not value and not param.empty:
        raise OverrideError(f"{what}: wanted {wanted(param)}, not an empty one.")
    plain: Any = list(value) if isinstance(value, tuple) else value
    if param.type in {"float", "floats"}:
        plain = [float(v) for v in plain] if isinstance(plain, list) else float(plain)
    if param.choices and plain not in [list(c) if isinstance(c, tuple) else c for c in param.choices]:
        raise OverrideError(f"{what}: wanted {wanted(param)}.")
    return plain


def text(value: Any) -> str:
    """Return a value as the command line takes it.

    >>> text([64, 64]), text(True), text(0.5), text("small_cnn,width=8")
    ('[64,64]', 'true', '0.5', '[small_cnn,width=8]')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + ",".join(text(item) for item in value) + "]"
    return f"[{value}]" if isinstance(value, str) and "," in value else str(value)


def shown(value: Any) -> str:
    """Return a value for people: as the command line takes it, but numbers without needless digits.

    >>> shown(True), shown([0.5, 0.75]), shown(1e-4), shown(2.0), shown(None)
    ('true', '[0.5,0.75]', '0.0001', '2', 'none')
    """
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.15g}"
    return f"[{','.join(map(shown, value))}]" if isinstance(value, list | tuple) else str(value)


def wanted(param: Param) -> str:
    """Return what a parameter accepts, in words.

    >>> wanted(Param("k", "int", 5, low=1))
    'a whole number of at least 1'
    """
    if param.choices:
        return f"one of {_listed(param.choices)}" if len(param.choices) > 1 else _listed(param.choices)
    base = _WANTED[param.type]
    if param.length is not None:
        kind = "whole numbers" if param.type == "ints" else "numbers"
        base = f"exactly {param.length} {kind} like [{','.join(['64'] * param.length)}]"
    if param.low is not None and param.high is not None:
        return f"{base} from {shown(param.low)} to {shown(param.high)}"
    if param.low is not None:
        return f"{base} of at least {shown(param.low)}"
    if param.high is not None:
        return f"{base} of at most {shown(param.high)}"
    return base


def existing(param: Param, value: Any, key: str) -> Any:
    """Return `value`; DataError when the parameter is a path and does not exist."""
    if param.type == "path" and not os.path.exists(value):  # noqa: PTH110 - value is text
        raise DataError(f"{key}={value}: no such file or folder.")
    return value


def unmet(param: Param, values: Mapping[str, Any], place: str) -> str | None:
    """Return why `param` has no effect among the settings `values`, or None when it has one.

    >>> beta = Param("momentum", "float", 0.9, when=(("optimizer", ("momentum", "nesterov")),))
    >>> unmet(beta, {"optimizer": "adam"}, "fit")
    'it needs fit.optimizer=momentum or nesterov, got adam'
    """
    for name, allowed in param.when:
        if values[name] not in allowed:
            return f"it needs {place}.{name}={_listed(allowed)}, got {shown(values[name])}"
    return None


def effective(params: Sequence[Param], given: Mapping[str, Any], place: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the given settings that are active among each other and the defaults, and for the others the reason.

    An inactive setting counts as not given, so it cannot activate another one. Undeclared names are kept.

    >>> rule = Param("rule", "str", "sgd")
    >>> beta = Param("momentum", "float", 0.9, when=(("rule", ("momentum",)),))
    >>> effective([rule, beta], {"rule": "adam", "momentum": 0.5}, "fit")
    ({'rule': 'adam'}, {'momentum': 'it needs fit.rule=momentum, got adam'})
    """
    kept: dict[str, Any] = dict(given)
    reasons: dict[str, str] = {}
    while True:
        whole = complete(params, kept)
        found = ((param.name, unmet(param, whole, place)) for param in params if param.name in kept)
        name, reason = next(((name, reason) for name, reason in found if reason is not None), ("", ""))
        if not name:
            return kept, reasons
        reasons[name] = reason
        del kept[name]


def missing(params: Sequence[Param], given: Collection[str]) -> list[Param]:
    """Return the parameters that must be given and are not."""
    return [param for param in params if param.required and param.name not in given]


def needs(what: str, place: str, param: Param) -> OverrideError:
    """Return the error of `what`, such as "model 'knn'", when a setting that it must have is not given."""
    help_text = f" ({param.help})" if param.help else ""
    return OverrideError(f"{what} needs {place}.{param.name}={param.type.upper()}{help_text}.")


def condition(param: Param, place: str) -> str:
    """Describe with which other settings `param` is active; empty when with all."""
    return " and ".join(f"{place}.{name}={_listed(allowed)}" for name, allowed in param.when)


def complete(params: Sequence[Param], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all declared settings: what was given, else the default. The caller handles missing required ones."""
    return {param.name: given.get(param.name, _plain(param.default)) for param in params}


def single(key: str, value: str) -> str:
    """Return the one value that a key was given; OverrideError when it is a list."""
    parts = split_commas(value, key)
    if len(parts) > 1:
        raise OverrideError(f"{key}={value}: wanted one value; {key} does not sweep.")
    return value


def split_commas(text: str, key: str) -> list[str]:
    """Split the value of `key` at commas outside brackets; OverrideError when these do not pair up.

    >>> split_commas("[64,64],[32,32]", "model.hidden")
    ['[64,64]', '[32,32]']
    """
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if depth < 0:
            break
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    if depth:
        raise OverrideError(f"{key}={text}: the brackets do not pair up.")
    return parts


def absolute(path: str) -> str:
    """Return a path that does not depend on the working folder; `~` is the home folder.

    >>> absolute("/data/../mnist")
    '/mnist'
    """
    return os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111 - lexical: symlinks are kept as given


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _listed(values: Sequence[Any]) -> str:
    return either([shown(value) for value in values if value is not None] or ["nothing"])


def _parse_int(text: str) -> int | None:
    return int(text) if _INT.fullmatch(text) else None


def _parse_float(text: str) -> float | None:
    if not _FLOAT.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def _parse_list(text: str, parse: Any) -> list[Any] | None:
    if not (text.startswith("[") and text.endswith("]")):
        return None
    inside = text[1:-1].strip()
    values = [parse(part.strip()) for part in inside.split(",")] if inside else []
    return None if None in values else values


def _parse_text(text: str) -> str:
    """Return the text; brackets around a comma only protected it from being read as a sweep."""
    return text[1:-1] if text.startswith("[") and text.endswith("]") and "," in text else text


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    """Return whether a value is one line of text without control characters, fit for a name or a message."""
    return isinstance(value, str) and value.isprintable()


_PARSERS: dict[str, Any] = {
    "int": _parse_int,
    "float": _parse_float,
    "bool": lambda text: _BOOLS.get(text.lower()),
    "str": _parse_text,
    "path": lambda text: absolute(_parse_text(text)),
    "model": _parse_text,
    "ints": lambda text: _parse_list(text, _parse_int),
    "floats": lambda text: _parse_list(text, _parse_float),
}
_IS: dict[str, Any] = {
    "int": _is_int,
    "float": _is_number,
    "bool": lambda value: isinstance(value, bool),
    "str": _is_text,
    "path": _is_text,
    "model": _is_text,
    "ints": lambda value: isinstance(value, list | tuple) and all(map(_is_int, value)),
    "floats": lambda value: isinstance(value, list | tuple) and all(map(_is_number, value)),
}
