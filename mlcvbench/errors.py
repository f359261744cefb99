"""Every error a user of mlcvbench can meet. Each message is one sentence: the thing, got, wanted, what to do.

MlcvbenchError                 base; caught once, at the command line
├── RequestError               the request cannot be carried out as written (exit 2)
│   ├── UnknownNameError       no task, model, data set, metric or key of that name
│   ├── OverrideError          a key=value argument is malformed, ineffective or of the wrong type
│   ├── DefinitionError        a benchmark definition (YAML) is not valid
│   └── MissingExtraError      an optional dependency is not installed
├── PluginError                a plugin cannot be loaded or breaks the hook contract (exit 2)
├── DataError                  a data set or file from outside is missing, damaged or inconsistent (exit 2)
│   └── NoInputsError          data hold targets only, and something asks for their inputs (exit 2)
├── StoreError                 the output folder or the cache cannot be used (exit 2)
├── RecordError                a stored record or artifact is damaged, changed or from the future (exit 2)
├── PredictionError            a model's output breaks the contract (the run fails, exit 1)
└── CheckFailedError           a check found something: verify, rescore, compare, plugin check (exit 1)
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields
from functools import wraps
from typing import Any, TypeVar

T = TypeVar("T")
_DIGEST = re.compile(r"@([0-9a-f]{12})[0-9a-f]{52}")


class MlcvbenchError(Exception):
    """Base of all errors that mlcvbench raises on purpose; `exit_code` is what the command line returns."""

    exit_code = 2


class RequestError(MlcvbenchError):
    """The request cannot be carried out as written."""


class UnknownNameError(RequestError):
    """A name is not known; the message offers the nearest ones, or gives the `hint`."""

    def __init__(self, what: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.what, self.name = what, name
        hint = hint or did_you_mean(name, known)
        if hint.endswith("...") and what.rpartition(" ")[2] in {"task", "model", "set", "name"}:
            hint += " `mlcvbench list` shows all."
        super().__init__(f"unknown {what} {name!r}.{hint}")


class OverrideError(RequestError):
    """A key=value argument is malformed, unknown, ineffective, given twice or of the wrong type."""


class DefinitionError(RequestError):
    """A benchmark definition is not valid; the message names file and line."""


class MissingExtraError(RequestError):
    """An optional dependency is needed and not installed; the message names the extra."""

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(f"{what} needs {package!r}, which is not installed. Run: pip install 'mlcvbench[{extra}]'")


class PluginError(MlcvbenchError):
    """A plugin cannot be loaded, or what its hooks return is not usable."""


class DataError(MlcvbenchError):
    """A data set or a file from outside is missing, damaged or contradicts itself."""


class NoInputsError(DataError):
    """A split holds what predictions are compared with and no inputs, so that no model can run on it."""


class StoreError(MlcvbenchError):
    """The output folder or the cache cannot be written or read."""


class RecordError(MlcvbenchError):
    """A stored record or one of its artifacts is damaged, was changed, or has a newer schema."""


class PredictionError(MlcvbenchError):
    """A model's predictions break the contract: wrong field, shape, type, value or count."""

    exit_code = 1


class CheckFailedError(MlcvbenchError):
    """A check that was asked for found a difference."""

    exit_code = 1


REFUSALS = frozenset(
    name for name, kind in list(globals().items()) if isinstance(kind, type) and getattr(kind, "exit_code", 0) == 2
)
"""Names of the errors that lie in the request, the data or the location of a run, and say nothing about its method."""


NEAR = 0.5
"""How similar two names must be, from 0 to 1, for one to be suggested for the other."""
BEGUN = 3
"""Letters that suffice to suggest the names beginning with them."""


def offer(names: Sequence[str]) -> str:
    """Return ` Did you mean 'a', 'b' or 'c'?` for one or several names.

    >>> offer(["model.k", "fit.k"])
    " Did you mean 'model.k' or 'fit.k'?"
    """
    return f" Did you mean {either([repr(name) for name in names])}?"


def either(words: Sequence[str]) -> str:
    """Return one of several words in prose.

    >>> either(["a", "b", "c"]), either(["a"])
    ('a, b or c', 'a')
    """
    *rest, last = words
    return f"{', '.join(rest)} or {last}" if rest else last


def did_you_mean(name: str, known: Iterable[str], most: int = 3) -> str:
    """Return ` Did you mean 'a', 'b' or 'c'?` for the nearest names, or the known names when none is near.

    Names that begin with `name` are suggested too, after the similar ones, the shortest first.

    >>> did_you_mean("resnt18", ["resnet18", "vgg16"])
    " Did you mean 'resnet18'?"
    >>> did_you_mean("seg", ["segmentation", "sgm"])
    " Did you mean 'sgm' or 'segmentation'?"
    >>> did_you_mean("zzz", [])
    ''
    >>> did_you_mean("zzz", "abcdefghij")
    ' Known: a, b, c, d, e, f, g, h, ...'
    """
    names = sorted(set(known))
    begun = sorted((one for one in names if one.startswith(name)), key=len) if len(name) >= BEGUN else []
    near = [*difflib.get_close_matches(name, names, n=most, cutoff=NEAR), *begun]
    if near:
        return offer(list(dict.fromkeys(near))[:most])
    if not names:
        return ""
    return f" Known: {', '.join(names[:8])}{', ...' if len(names) > 8 else '.'}"


def first_line(error: BaseException) -> str:
    """Return the first line of a third-party error, or its type when it is empty, without a full stop.

    >>> first_line(ValueError("no such layer.")), first_line(KeyError())
    ('no such layer', 'KeyError')
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def said_by(error: BaseException) -> str:
    r"""Return the type of a third-party error and its whole message, on one line.

    >>> said_by(ValueError("no such\n  layer.")), said_by(KeyError())
    ('ValueError: no such layer.', 'KeyError')
    """
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def names_fields(cls: type[T]) -> type[T]:
    """Let a dataclass refuse an unknown field with a TypeError that suggests the nearest one."""
    known: Any = cls
    names = [field.name for field in fields(known)]
    make = known.__init__

    @wraps(make)
    def checked(self: T, *args: Any, **given: Any) -> None:
        for name in given:
            if name not in names:
                raise TypeError(f"{cls.__name__} has no field {name!r}.{did_you_mean(name, names)}")
        make(self, *args, **given)

    known.__init__ = checked
    return cls


def scrub(text: str, paths: Iterable[str] = ()) -> str:
    """Take the home folder, the working folder and the interpreter's folder out of a message.

    Of `paths` only their last part is kept.

    >>> scrub(f"no such file: {os.getcwd()}/a.txt")
    'no such file: ./a.txt'
    """
    for path in sorted({os.path.normpath(path) for path in paths}, key=len, reverse=True):
        if len(path) > 1:
            text = text.replace(path, os.path.basename(path))  # noqa: PTH119 - it is text
    from pathlib import Path  # importing it costs `--help` more than everything else here

    places = {str(Path.cwd()): ".", str(Path(sys.prefix)): "$PREFIX", str(Path.home()): "~"}
    for place, short in sorted(places.items(), key=lambda item: -len(item[0])):
        if len(place) > 1:
            text = text.replace(place, short)
    return text


def short_digests(text: str) -> str:
    """Return a text with its file labels, NAME@SHA256, cut to twelve digits of the digest.

    >>> short_digests("file=best.txt@" + "0123456789abcdef" * 4)
    'file=best.txt@0123456789ab'
    """
    return _DIGEST.sub(r"@\1", text)


def short(value: Any) -> str:
    """Return a value for an error message, cut to 60 characters."""
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
