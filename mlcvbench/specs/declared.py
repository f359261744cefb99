"""What a plugin declares about itself: frozen data, read without importing the code it points to.

A spec names its implementation as `"package.module:attribute"`; `load_target` imports it on first use. Importing a
plugin package to read its specs must therefore cost no torch, numpy, scikit-learn, OpenCV or pandas.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlcvbench.errors import PluginError, names_fields

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+:-]{0,99}")
ParamType = Literal["int", "float", "bool", "str", "path", "ints", "floats", "model"]

ANY_VALUE = ("*",)
"""For `Param.wants_val`: every value but None."""


@names_fields
@dataclass(frozen=True, slots=True)
class Param:
    """One typed setting of a model, a fit or a data set, as it is written in `model.k=5`.

    `default=None` means "not set" (the implementation decides); `required` means the user must give it.
    `low` and `high` are inclusive bounds; `choices` lists the allowed values; `length` is how many numbers a list must
    have; without it, `empty` says that it may have none. `when` pairs the names of settings declared earlier with
    values: unless each of them has one of its values, this setting is inactive, and giving it is refused. `wants_val`
    lists the values of a `fit.*` setting with which fit chooses on the validation split, or is `ANY_VALUE`, for any
    that is set. A value of type `model` names a registered model of the same task kind, optionally with settings:
    `[small_cnn,width=8]`; the `fit.*` settings are those of the first such model, which also decides one whose default
    is None. `alias` is a second name for the key.
    """

    name: str
    type: ParamType
    default: Any = None
    help: str = ""
    choices: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    required: bool = False
    length: int | None = None
    when: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    wants_val: tuple[Any, ...] = ()
    alias: str = ""
    empty: bool = False

    def wants_validation(self, value: Any) -> bool:
        """Tell whether fit chooses on the validation split when this setting has this value."""
        return value is not None if self.wants_val == ANY_VALUE else value in self.wants_val


SKIP = Param(
    "skip",
    "str",
    "none",
    "samples left out: broken = those that cannot be read, with a notice",
    choices=("none", "broken"),
)
"""A data set that lists it among its `params` can be read without its broken samples: `data.skip=broken`.

The bench leaves them out; a loader that looks into files before samples are read must then pass over broken ones.
"""


@names_fields
@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A method that can be run.

    `kinds` are the task kinds it answers, `needs` the input kinds it reads, `params` its `model.*` settings and
    `fit` the `fit.*` settings it honours. `uses_val`: fit wants a validation split (otherwise it is merged into
    train). `ragged`: predict accepts lists of images of unequal size. `family` groups rows on a board.

    A name that ends in a colon, such as `timm:`, matches every name that begins with it; what follows the colon is
    passed to the model as its argument `name`. `names`, a lazy target, is then a function that returns all of them, so
    that a misspelt one is refused before anything starts. `prefix` is filled in by the registry.

    `check`, a lazy target, is a function that takes a `Chosen` and raises RequestError when settings that are in bounds
    cannot be carried out together. It is called whenever a run is planned, also for a model inside another, so its
    module should import nothing heavy. A search does not call it: a candidate that cannot be carried out fails.

    `by_nature` names the notices that the method causes by design, such as a baseline that predicts one class for every
    sample: they are neither reported nor refused.
    """

    name: str
    kinds: tuple[str, ...]
    target: str
    summary: str
    needs: tuple[str, ...] = ("image",)
    params: tuple[Param, ...] = ()
    fit: tuple[Param, ...] = ()
    uses_val: bool = False
    ragged: bool = False
    family: str = ""
    reference: str = ""
    licence: str = ""
    year: int | None = None
    names: str = ""
    check: str = ""
    prefix: str = ""
    by_nature: tuple[str, ...] = ()

    def declared(self, place: str) -> tuple[Param, ...]:
        """Return the settings of a place, `model` or `fit`."""
        return self.fit if place == "fit" else self.params


@dataclass(frozen=True, slots=True)
class Chosen:
    """A model as a run would have it: `name` in full, task kind, and every `model.*` and `fit.*` setting, typed."""

    name: str
    kind: str
    params: Mapping[str, Any]
    fit: Mapping[str, Any]


@names_fields
@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """A data set: `provides` are the input kinds of its samples, `params` its `data.*` settings."""

    name: str
    kinds: tuple[str, ...]
    target: str
    summary: str
    provides: tuple[str, ...] = ("image",)
    params: tuple[Param, ...] = ()
    reference: str = ""
    licence: str = ""

    @property
    def places(self) -> frozenset[str]:
        """The settings that say where the data are stored, not what they are: no key and no record holds their
        values.
        """
        return frozenset(param.name for param in self.params if param.type == "path")


Place = Literal["inputs", "targets", "extra", "meta", "predictions"]


@names_fields
@dataclass(frozen=True, slots=True)
class Field:
    """One entry of what models of a task kind get or return.

    `place`: a batch's `inputs`, the training `targets`, `problem.extra`, a batch's `meta`, or the `predictions`.
    `form`: dtype and shape, such as `float32 (B, H, W)`; B samples, n objects of one image. `text`: meaning, unit and
    range.
    """

    place: Place
    name: str
    form: str
    text: str


@names_fields
@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A task kind: its implementation, the folder of its definitions and the one that `task=KIND` means.

    `reads` says what `mlcvbench score` reads, in pairs of a form (`.npz`, `folder of PNG`) and what it holds.
    `reading` are the settings with which that is read, as in `mlcvbench score value=distance`.
    `fields` say what models get and return, for `mlcvbench info` and the manual.
    `toys`, a lazy target, makes the data on which the conformance kit tries models of the kind: a function of the input
    kinds that a model needs, which returns `LoadedData` by name. On the first, most checks are made; the others, such
    as `images of 9x31`, are each a check of their own.
    """

    name: str
    target: str
    summary: str
    default: str
    definitions: str = "definitions"
    package: str = ""
    reference: str = ""
    reads: tuple[tuple[str, str], ...] = ()
    reading: tuple[Param, ...] = ()
    fields: tuple[Field, ...] = ()
    toys: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a registered spec came from; filled in by the registry."""

    plugin: str
    distribution: str
    version: str
    package: str = field(default="")


def load_target(target: str) -> Any:
    """Import `"package.module:attribute"` and return the attribute; PluginError says what is missing."""
    module_name, _, attribute = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise PluginError(f"cannot import {module_name!r}, the target of a plugin: {error}.") from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise PluginError(
            f"module {module_name!r} has no attribute {attribute!r}, named by a plugin's target."
        ) from None
