"""The numbers behind the metrics of a run, by class say, as its task gives them.

Those that cannot be computed are left out with a notice; the metrics are kept.
"""

from __future__ import annotations

from mlcvbench.contract import Breakdown, Notice, Outcome, Task
from mlcvbench.errors import scrub
from mlcvbench.records.schema import BreakdownColumn, BreakdownInfo
from mlcvbench.running.record_draft import Draft


def of_task(draft: Draft, task: Task, outcome: Outcome | None) -> tuple[BreakdownInfo, ...]:
    """Return the task's breakdowns for the record; nothing without rows."""
    if outcome is None:
        return ()

    def without(why: str) -> tuple[BreakdownInfo, ...]:
        text = f"Numbers by class and kind could not be computed ({scrub(why)}); scores and costs stand."
        draft.remark(Notice("no-breakdowns", text))
        return ()

    with draft.stage("breakdowns"):
        return draft.attempt(lambda: tuple(map(_info, task.breakdowns(outcome))), without)


def _info(one: Breakdown) -> BreakdownInfo:
    columns = tuple(
        BreakdownColumn(name=name, unit=unit, values=tuple(values)) for name, (unit, values) in one.columns.items()
    )
    return BreakdownInfo(title=one.title, note=one.note, of=one.of, names=tuple(one.names), columns=columns)
