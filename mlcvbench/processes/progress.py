"""The callback type for progress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

Numbers = Mapping[str, float | None]
"""What a fit reported after an epoch, by name, the number of the `epoch` first; empty where it reported nothing."""
NO_NUMBERS: Numbers = {}


class Progress(Protocol):
    """Called with the name of a stage, how much of it is done, of how much, and the numbers that its fit reports."""

    def __call__(self, stage: str, done: int, total: int, numbers: Numbers = NO_NUMBERS, /) -> None: ...


def silent(stage: str, done: int, total: int, numbers: Numbers = NO_NUMBERS) -> None:
    """Report nothing."""
