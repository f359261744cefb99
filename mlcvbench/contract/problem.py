"""Problems: what a data set requires of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class InputSpec:
    """Shape of one sample of an input kind, `None` where it varies, and its numpy dtype name."""

    shape: tuple[int | None, ...]
    dtype: str = "uint8"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is to be solved: the task kind, the class names (index = label) and the inputs.

    `extra`: settings of a kind, such as the number of disparities.
    """

    kind: str
    classes: tuple[str, ...]
    inputs: Mapping[str, InputSpec]
    extra: Mapping[str, Any] = field(default_factory=dict)
