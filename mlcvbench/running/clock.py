"""The time limit of a run, and the share of it that one candidate of a search may take."""

from __future__ import annotations

import time

from mlcvbench.plan.config import RunConfig

BUDGETS = 2.0
"""Fit budgets that a candidate may take: training loops end within one, but other fits ignore the budget."""


class RunClock:
    """The deadline of a run and, during a search, of the current candidate; seconds of `time.monotonic`.

    A candidate may take twice its fit budget or an equal share of the remaining time, whichever is longer, so that a
    hanging one leaves time for the others.
    """

    def __init__(self, config: RunConfig) -> None:
        self.deadline = time.monotonic() + config.seconds
        self.share: float | None = None
        self._least = BUDGETS * (config.budget or 0.0)
        self._began: float | None = None
        self._trial: int | None = None
        self._ends = self.deadline

    def turn_to(self, trial: int | None, left: int) -> None:
        """Set the candidate that is being tried, and how many fits are left, including its own."""
        if trial == self._trial:
            return
        now = time.monotonic()
        self._trial, self._ends, self.share = trial, self.deadline, None
        if trial is not None:
            self._began = now if self._began is None else self._began
            self.share = max(self._least, (self.deadline - now) / max(left, 1))
            self._ends = min(self.deadline, now + self.share)

    def remaining(self) -> float:
        """Return the seconds that the run, or its current candidate, has left."""
        return self._ends - time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the run has no time left."""
        return time.monotonic() >= self.deadline

    def spent_on_search(self) -> float:
        """Return the seconds since the first candidate began, and clear the current one."""
        self.turn_to(None, 0)
        return 0.0 if self._began is None else time.monotonic() - self._began
