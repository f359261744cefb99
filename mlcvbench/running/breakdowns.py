"""The numbers behind the metrics of a run, by class say, as its task gives them, and the times behind its latency.

Those that cannot be computed are left out with a notice; the metrics are kept.
"""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array, Breakdown, Notice, Outcome, Task
from mlcvbench.errors import scrub
from mlcvbench.measure import TimingResult
from mlcvbench.measure.timing.latency import calls_by_sample, rotated
from mlcvbench.records.schema import BreakdownColumn, BreakdownInfo
from mlcvbench.running.record_draft import Draft

GROUPS = 4
"""The most groups of samples whose times are told apart."""


def all_of(draft: Draft, task: Task, outcome: Outcome | None) -> tuple[BreakdownInfo, ...]:
    """Return the task's breakdowns, and the times by what its samples hold, for the record; nothing without rows."""
    if outcome is None:
        return ()
    timing = draft.results.costs.timing

    def make() -> tuple[BreakdownInfo, ...]:
        found = [*task.breakdowns(outcome)]
        if timing is not None and (amounts := task.amounts(outcome.targets)) is not None:
            found += times_by_amount(*amounts, timing)
        return tuple(map(_info, found))

    def without(why: str) -> tuple[BreakdownInfo, ...]:
        text = f"Numbers by class and kind could not be computed ({scrub(why)}); scores and costs stand."
        draft.remark(Notice("no-breakdowns", text))
        return ()

    with draft.stage("breakdowns"):
        return draft.attempt(make, without)


def times_by_amount(what: str, amount: Array, timing: TimingResult) -> list[Breakdown]:
    """Return the median time of each stage for samples with few to many of `what`, int64 (U,).

    Nothing where all have equally many or calls are not known one by one.
    """
    held = amount[rotated(len(amount))]
    calls = calls_by_sample(timing.latency, timing.samples, len(held))
    bounds = np.unique(np.quantile(held, np.linspace(0, 1, GROUPS + 1)[1:], method="lower"))
    if not calls or len(bounds) < 2:
        return []
    group = np.searchsorted(bounds, held)  # (R,), those up to the first bound, up to the second ...
    columns: dict[str, tuple[str, list[float | None]]] = {
        "samples": ("1", np.bincount(group, minlength=len(bounds)).astype(float).tolist())
    }
    for stage, (duration, turn) in calls.items():
        own = [duration[group[turn] == place] for place in range(len(bounds))]
        columns[stage.replace("_", " ")] = ("s", [float(np.median(part)) / 1e9 if len(part) else None for part in own])
    names = [_span(held[group == place]) for place in range(len(bounds))]
    note = "The median over the timed calls for samples that hold so many."
    return [Breakdown(f"Time by number of {what}", note, what, names, columns)]


def _span(values: Array) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low}" if low == high else f"{low} to {high}"


def _info(one: Breakdown) -> BreakdownInfo:
    columns = tuple(
        BreakdownColumn(name=name, unit=unit, values=tuple(values)) for name, (unit, values) in one.columns.items()
    )
    return BreakdownInfo(title=one.title, note=one.note, of=one.of, names=tuple(one.names), columns=columns)
