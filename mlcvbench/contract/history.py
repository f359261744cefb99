"""The history of a fit as a record holds it: columns of equal length, with gaps where a number is missing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mlcvbench.errors import said_by


def stored_history(
    history: Mapping[str, Sequence[float | None]],
) -> tuple[dict[str, list[float | None]], str | None]:
    """Return the columns with None for what is missing or not finite; or none of them, and why they cannot be kept.

    >>> stored_history({"loss": [2.0, float("nan")]})
    ({'loss': [2.0, None]}, None)
    >>> stored_history({"loss": [2.0, 1.0], "val_loss": [2.0]})[1]
    "column 'val_loss' has 1 entries and 'loss' 2; wanted as many in each"
    """
    stored: dict[str, list[float | None]] = {}
    for name, column in history.items():
        try:
            numbers = [math.nan if value is None else float(value) for value in column]
        except (TypeError, ValueError) as error:
            return {}, f"column {name!r} is no list of numbers ({said_by(error)})"
        stored[str(name)] = [number if math.isfinite(number) else None for number in numbers]
    first = next(iter(stored), None)
    for name, column in stored.items():
        if first is not None and len(column) != len(stored[first]):
            return {}, (
                f"column {name!r} has {len(column)} entries and {first!r} {len(stored[first])}; wanted as many in each"
            )
    return stored, None
