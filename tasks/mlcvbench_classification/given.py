"""What a file of predictions must fit, and what it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mlcvbench.contract import Array, Notice


class Wanted(NamedTuple):
    """What a file must fit: the classes, the samples of the split and those left out, and the reading settings.

    `beyond` samples come after the last one, `unread` ones anywhere.
    """

    classes: tuple[str, ...]
    samples: int
    beyond: int
    unread: int
    settings: Mapping[str, Any]

    @property
    def in_order(self) -> int:
        """The most rows that a file in the order of the split may have."""
        return self.samples + self.beyond

    @property
    def most(self) -> int:
        """The most rows that a file with named rows may have."""
        return self.in_order + self.unread


class Given(NamedTuple):
    """What a file holds: a column `scores` or `probabilities` float32 (M, C), or `labels` int64 (M,).

    Columns and labels are those of the data set already. `ids` name the rows, None when they are in the order of the
    split; `places` locate each row for messages; `notices` state assumptions.
    """

    field: str
    values: Array
    ids: Sequence[str] | None = None
    places: Sequence[str] = ()
    notices: tuple[Notice, ...] = ()
