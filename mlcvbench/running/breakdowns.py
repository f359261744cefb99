"""The numbers behind the metrics of a run, by class say, as its task gives them, and the times and operations of
samples that hold little to much.

Those that cannot be computed are left out with a notice; the metrics are kept.
"""

from __future__ import annotations

import numpy as np

from mlcvbench.contract import Array, Breakdown, Model, Notice, Outcome, Split, Task
from mlcvbench.errors import scrub
from mlcvbench.measure import TimingResult
from mlcvbench.measure.timing.latency import calls_by_sample, rotated
from mlcvbench.records.schema import BreakdownColumn, BreakdownInfo
from mlcvbench.running.record_draft import Draft

GROUPS = 4
"""The most groups of samples whose times are told apart."""
COUNTED = 8
"""Samples of a group whose operations are counted."""


def all_of(draft: Draft, task: Task, outcome: Outcome | None, model: Model | None = None) -> tuple[BreakdownInfo, ...]:
    """Return the task's breakdowns, and what its samples cost by what they hold, for the record; nothing without rows.

    `model`: None where only predictions are known.
    """
    if outcome is None:
        return ()
    timing, others = draft.results.costs.timing, draft.results.costs.operations.other_ops

    def make() -> tuple[BreakdownInfo, ...]:
        found = [*task.breakdowns(outcome)]
        if (timing or others) and (amounts := task.amounts(outcome.targets)) is not None:
            if timing is not None:
                found += times_by_amount(*amounts, timing)
            if others and model is not None:
                found += operations_by_amount(*amounts, model, outcome.split)
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
    groups = _groups(held)
    if not calls or len(groups) < 2:
        return []
    columns: dict[str, tuple[str, list[float | None]]] = {"samples": ("1", [float(len(places)) for places in groups])}
    for stage, (duration, turn) in calls.items():
        own = [duration[np.isin(turn, places)] for places in groups]
        columns[stage.replace("_", " ")] = ("s", [float(np.median(part)) / 1e9 if len(part) else None for part in own])
    names = [_span(held[places]) for places in groups]
    note = "The median over the timed calls for samples that hold so many."
    return [Breakdown(f"Time by number of {what}", note, what, names, columns)]


def operations_by_amount(what: str, amount: Array, model: Model, split: Split) -> list[Breakdown]:
    """Return the mean operations of samples with few to many of `what`, int64 (U,), where they depend on the sample.

    Nothing where all have equally many.
    """
    groups = [places[:COUNTED] for places in _groups(amount)]
    if len(groups) < 2:
        return []
    counts: list[dict[str, list[int]]] = []
    for places in groups:
        counts.append({})
        for batch in split.inputs(1, places):
            given = model.operations(model.preprocess(batch))
            if given is None or not given.varies:
                return []
            for name, count in given.other_ops.items():
                counts[-1].setdefault(name, []).append(count)
    columns: dict[str, tuple[str, list[float | None]]] = {"samples": ("1", [float(len(places)) for places in groups])}
    for name in counts[0]:
        columns[name.replace("_", " ")] = ("1", [float(round(np.mean(own[name]))) for own in counts])
    names = [_span(amount[places]) for places in groups]
    note = "The mean over the first samples that hold so many; what is counted depends on what a sample shows."
    return [Breakdown(f"Operations by number of {what}", note, what, names, columns)]


def _groups(amount: Array) -> list[Array]:
    """Return the places of the samples with the fewest, more, and most, up to `GROUPS` groups of similar size."""
    bounds = np.unique(np.quantile(amount, np.linspace(0, 1, GROUPS + 1)[1:], method="lower"))
    group = np.searchsorted(bounds, amount)  # (R,), those up to the first bound, up to the second ...
    return [np.flatnonzero(group == place) for place in range(len(bounds))]


def _span(values: Array) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low}" if low == high else f"{low} to {high}"


def _info(one: Breakdown) -> BreakdownInfo:
    columns = tuple(
        BreakdownColumn(name=name, unit=unit, values=tuple(values)) for name, (unit, values) in one.columns.items()
    )
    return BreakdownInfo(title=one.title, note=one.note, of=one.of, names=tuple(one.names), columns=columns)
