"""What a fit reports by epoch (`ctx.report`): shown while it runs, and kept however the run ends.

The process that fits passes each report on to its parent, which has them when the process is ended, and appends it to a
file, so that an interrupted fit that resumes still has the epochs of before.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable
from pathlib import Path

from mlcvbench.processes.progress import Numbers

FILE = "reported.jsonl"
EPOCH = "epoch"
MAX_EPOCHS = 100_000
"""The highest epoch that is kept: columns have an entry for each."""


class History:
    """Numbers by epoch, of which columns of equal length are made."""

    def __init__(self) -> None:
        self._rows: dict[int, dict[str, float | None]] = {}

    def add(self, epoch: int, numbers: Numbers) -> None:
        """Put the numbers of an epoch in the place of those of itself and of all later ones."""
        if self._rows and epoch <= next(reversed(self._rows)):
            self._rows = {known: row for known, row in self._rows.items() if known < epoch}
        self._rows[epoch] = dict(numbers)

    def rows(self) -> list[tuple[int, Numbers]]:
        """Return the epochs with their numbers, in rising order."""
        return list(self._rows.items())

    def columns(self) -> dict[str, list[float | None]]:
        """Return a column for each name, with an entry for each epoch from 1 on; None is a gap.

        >>> history = History()
        >>> history.add(1, {"loss": 0.5}), history.add(3, {"loss": 0.25, "top1": 0.9})
        (None, None)
        >>> history.columns()
        {'loss': [0.5, None, 0.25], 'top1': [None, None, 0.9]}
        """
        names = dict.fromkeys(name for row in self._rows.values() for name in row)
        epochs = range(1, max(self._rows, default=0) + 1)
        return {name: [self._rows.get(epoch, {}).get(name) for epoch in epochs] for name in names}


class Reported:
    """The `report` of a fit's context: keeps what it is called with and passes it on to `tell`.

    `folder`: where an interrupted fit of before left its reports, None: nowhere. Those before the first epoch that this
    one reports are its own too, since it goes on from there.
    """

    def __init__(self, folder: Path | None, tell: Callable[[Numbers], None]) -> None:
        self.history = History()
        self._file = None if folder is None else folder / FILE
        self._tell = tell
        self._begun = False
        for epoch, numbers in _read(self._file):
            self.history.add(epoch, numbers)

    def __call__(self, epoch: int, **numbers: float | None) -> None:
        """Report the numbers of an epoch. ValueError when one is no number, or the epoch is none."""
        row = _checked(epoch, numbers)
        self.history.add(epoch, row)
        if self._file is not None:
            with contextlib.suppress(OSError), self._file.open("a") as file:  # a full disk is not worth the fit
                file.write(json.dumps([epoch, row]) + "\n")
        for known, told in [(epoch, row)] if self._begun else self.history.rows():
            self._tell({EPOCH: known, **told})
        self._begun = True

    def columns(self) -> dict[str, list[float | None]]:
        """Return what this fit reported as the columns of a history; nothing when it did not."""
        return self.history.columns() if self._begun else {}


def _checked(epoch: int, numbers: Numbers) -> dict[str, float | None]:
    if isinstance(epoch, bool) or int(epoch) != epoch or not 1 <= epoch <= MAX_EPOCHS:
        raise ValueError(f"report: wanted an epoch from 1 to {MAX_EPOCHS:,}, got {epoch!r}.")
    row: dict[str, float | None] = {}
    for name, value in numbers.items():
        if not name.isprintable():
            raise ValueError(f"report: wanted a name that can be printed, got {name!r}.")
        try:
            number = math.nan if value is None else float(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"report: {name} is no number, got {type(value).__name__}.") from error
        row[name] = number if math.isfinite(number) else None
    return row


def _read(file: Path | None) -> list[tuple[int, Numbers]]:
    """Return the reports in a file, those up to the first line that a crash left incomplete."""
    found: list[tuple[int, Numbers]] = []
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        for line in file.read_text().splitlines() if file is not None else ():
            epoch, numbers = json.loads(line)
            found.append((int(epoch), _checked(int(epoch), numbers)))
    return found
