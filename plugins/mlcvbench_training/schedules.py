"""Learning rates over a training, by name, and the momentum that one_cycle moves against them.

A factor times `fit.lr` is the rate of a step. `step` and `plateau` change between epochs, the others with every step:
with e = step / (steps an epoch) they are the formulas over epochs, passed through at every epoch's begin.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Any

from mlcvbench_training.settings import HEAVY_BALLS, WARM, Settings

WARM_START = 1e-3
"""Share of the rate that a warm-up begins with, as in Detectron2."""


class Schedule:
    """Where the rate and the momentum of a training stand; `plateau` remembers what it has seen."""

    def __init__(self, settings: Settings, steps_an_epoch: int) -> None:
        self.settings = settings
        self.steps_an_epoch = steps_an_epoch
        self.steps = settings.epochs * steps_an_epoch
        self.ends = cycle_ends(settings.epochs, settings.cycles)
        self.scale, self.best, self.stalled = 1.0, -math.inf, 0

    def factor(self, step: int) -> float:
        """Return the share of the largest rate at `step`, 0-based."""
        share = self._base(step)
        warm_steps = self.settings.warmup * self.steps_an_epoch
        if self.settings.schedule.startswith(WARM) and step < warm_steps:
            return share * (WARM_START + (1 - WARM_START) * step / warm_steps)
        return share

    def momentum(self, step: int) -> float:
        """Return the momentum at `step`: lowest where one_cycle's rate is highest, else constant."""
        settings = self.settings
        if settings.schedule != "one_cycle" or settings.optimizer not in HEAVY_BALLS:
            return settings.momentum
        ends = (settings.momentum, min(settings.momentum, settings.momentum_low), settings.momentum)
        return one_cycle(step, self.steps, settings.peak, ends, settings.anneal)

    def end_epoch(self, score: float | None) -> None:
        """Tell `plateau` the validation accuracy of an epoch."""
        if self.settings.base_schedule != "plateau" or score is None:
            return
        self.stalled = 0 if score > self.best else self.stalled + 1
        self.best = max(self.best, score)
        if self.stalled > self.settings.plateau_patience:
            self.scale, self.stalled = self.scale * self.settings.gamma, 0

    def state(self) -> dict[str, Any]:
        """Return what `plateau` remembers, as plain data."""
        return {"scale": self.scale, "best": None if math.isinf(self.best) else self.best, "stalled": self.stalled}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.scale, self.stalled = state["scale"], state["stalled"]
        self.best = -math.inf if state["best"] is None else state["best"]

    def _base(self, step: int) -> float:
        settings = self.settings
        name = settings.base_schedule
        if name == "one_cycle":
            ends = (1 / settings.div, 1.0, 1 / settings.final_div / settings.div)
            return one_cycle(step, self.steps, settings.peak, ends, settings.anneal)
        if name == "cosine":
            return half_cosine(1.0, settings.final, step / self.steps)
        if name == "linear":
            return settings.final + (1 - settings.final) * (1 - step / self.steps)
        if name == "cyclic":
            return half_cosine(1.0, settings.final, self._share_of_cycle(step))
        if name == "step":
            epoch = step // self.steps_an_epoch
            passed = sum(epoch >= round(share * settings.epochs) for share in settings.milestones)
            return settings.gamma**passed
        return self.scale if name == "plateau" else 1.0

    def _share_of_cycle(self, step: int) -> float:
        place = bisect_right(self.ends, step // self.steps_an_epoch)
        begin = self.ends[place - 1] if place else 0
        length = (self.ends[min(place, len(self.ends) - 1)] - begin) * self.steps_an_epoch
        return (step - begin * self.steps_an_epoch) / length


def cycle_ends(epochs: int, cycles: int) -> list[int]:
    """Return after how many epochs each cycle of `cyclic` ends; more cycles than epochs are as many as epochs.

    >>> cycle_ends(10, 3), cycle_ends(2, 5)
    ([3, 7, 10], [1, 2])
    """
    count = min(cycles, epochs)
    return [round(epochs * number / count) for number in range(1, count + 1)]


def one_cycle(step: int, steps: int, peak: float, ends: tuple[float, float, float], anneal: str) -> float:
    """Return the value at `step` of `steps` on the way from ends[0] to ends[1], its peak, and on to ends[2].

    Smith and Topin, 2018, as torch's OneCycleLR has it: the peak lies at peak * steps - 1, and a run of so few steps
    that this is negative has no way up. The second way begins at the peak's value (the course notes' equation 38
    begins it at the first value, from which the rate would jump).

    >>> [round(one_cycle(step, 11, 0.3, (0.04, 1.0, 0.0), "cosine"), 3) for step in (0, 2, 10)]
    [0.04, 0.96, 0.0]
    """
    way = half_cosine if anneal == "cosine" else line
    start, top, end = ends
    at = peak * steps - 1
    if step <= at:
        return way(start, top, step / at if at else 1.0)
    return way(top, end, (step - max(at, 0.0)) / (steps - 1 - max(at, 0.0))) if steps > 1 else top


def half_cosine(start: float, end: float, share: float) -> float:
    """Return the value at `share` in [0, 1] of half a cosine from `start` to `end`."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def line(start: float, end: float, share: float) -> float:
    """Return the value at `share` in [0, 1] of a straight line."""
    return start + (end - start) * share
