"""A misspelt field of a declaration names the nearest one, instead of Python's bare TypeError."""

from __future__ import annotations

from dataclasses import fields
from functools import wraps
from typing import Any, TypeVar

from mlcvbench.errors import did_you_mean

T = TypeVar("T")


def names_fields(cls: type[T]) -> type[T]:
    """Let a dataclass refuse a field it has not with a TypeError that offers the nearest one."""
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
