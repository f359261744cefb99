"""The parser of `KEY=VALUE` words: those of every command are split, looked up and typed here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlcvbench.errors import OverrideError, did_you_mean, either
from mlcvbench.plan.vocabulary import REQUEST_KEYS, RUN_KEYS
from mlcvbench.specs import Param
from mlcvbench.specs.values import existing, parse_setting


@dataclass(frozen=True, slots=True)
class Words:
    """The arguments of a command: the typed value of each key, which keys were given, and settings as text.

    `settings`: the words of places that the command takes besides its own keys, such as `data.root=DIR`.
    """

    values: Mapping[str, Any]
    given: frozenset[str]
    settings: Mapping[str, str]

    def place(self, name: str) -> dict[str, str]:
        """Return the settings of a place without its name: {"root": "DIR"} of `data.root=DIR`."""
        return {key.removeprefix(f"{name}."): text for key, text in self.settings.items() if key.startswith(f"{name}.")}


def read_words(
    words: Sequence[str],
    params: Iterable[Param],
    *,
    places: Collection[str] = (),
    each: Collection[str] = (),
    bare: str | None = None,
) -> Words:
    """Read the words of a command that has the keys `params` of its own and takes settings of some `places`.

    `each`: those places that also accept `OWNER.PLACE.NAME=VALUE`, for one owner alone. OverrideError names a word that
    is not KEY=VALUE, a key that is unknown or given twice, and a value of the wrong type; DataError a path that does
    not exist.
    """
    pairs = dict(parse_pairs(words, bare, sweeps=False))
    settings = {key: pairs.pop(key) for key in list(pairs) if _is_of(key, places, each)}
    known = list(params)
    if not known and (key := next(iter(pairs), None)) is not None:
        wanted = either([f"{place}.NAME=VALUE" for place in places])
        raise OverrideError(f"unknown key {key!r}. Wanted {wanted}.")
    refuse_unknown(pairs, [param.name for param in known], dots=True)
    given = frozenset(pairs)
    return Words(take(pairs, known), given, settings)


def take(pairs: dict[str, str], params: Iterable[Param]) -> dict[str, Any]:
    """Remove the words of `params` from `pairs`; return every value, typed, or the default where none was given."""
    return {
        param.name: existing(param, parse_setting(param, pairs.pop(param.name), param.name), param.name)
        if param.name in pairs
        else param.default
        for param in params
    }


def parse_pairs(words: Sequence[str], bare: str | None = None, *, sweeps: bool = True) -> list[tuple[str, str]]:
    """Split `KEY=VALUE` words; OverrideError when one is not of that form, is empty, or its key is given twice.

    `bare` is the key that a word without one most likely lacks; the message suggests it. `sweeps`: commas give a key
    several values.

    >>> parse_pairs(["model=knn", "model.k=1,3"])
    [('model', 'knn'), ('model.k', '1,3')]
    """
    pairs: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.strip():
            raise OverrideError(f"{word!r}: wanted KEY=VALUE, such as model=knn.{_offer(word, bare)}")
        if not value.strip():
            wanted = "KEY=VALUE, such as model=knn" if sweeps else f"{key}=VALUE"
            raise OverrideError(f"{key}: the value is empty; wanted {wanted}.")
        if key.strip() in pairs:
            hint = f"; a sweep is written {key}=A,B" if sweeps else ""
            raise OverrideError(f"key {key!r} is given twice{hint}.")
        pairs[key.strip()] = value.strip()
    return list(pairs.items())


def owner_of(key: str, models: Iterable[str]) -> str | None:
    """Return the model that a key such as `MODEL.NAME` or `MODEL.fit.NAME` is for; names may have dots too.

    >>> owner_of("timm:resnet10t.c3.fit.lr", ["timm:resnet10t", "timm:resnet10t.c3"])
    'timm:resnet10t.c3'
    """
    return max((model for model in models if key.startswith(f"{model}.")), key=len, default=None)


def refuse_unknown(pairs: Mapping[str, str], known: Collection[str], *, dots: bool = False) -> None:
    """Refuse the first key that is not in `known`: OverrideError suggests the nearest. Keys with dots too, if
    `dots`.
    """
    for key in pairs:
        if key not in known and (dots or "." not in key):
            raise OverrideError(f"unknown key {key!r}.{did_you_mean(key, known)}")


def _is_of(key: str, places: Collection[str], each: Collection[str]) -> bool:
    return (key.partition(".")[0] in places and "." in key) or any(f".{place}." in key for place in each)


def _offer(word: str, bare: str | None) -> str:
    """Return what a word without a value may have meant: a key (`model knn`, `--model`), or the value of `bare`."""
    name = word.lstrip("-")
    if name in (*REQUEST_KEYS, *RUN_KEYS):
        return f" Did you mean '{name}=VALUE'?"
    return f" Did you mean '{bare}={word}'?" if bare is not None and word.isidentifier() else ""
