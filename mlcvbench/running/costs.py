"""The cost passes of a run: operations, memory, latency and honesty checks, after its predictions are scored.

A pass that fails costs itself: what it would have measured is null with the reason, the traceback is in the run's log.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mlcvbench.contract import Array, Predictions, Problem, Split, Task
from mlcvbench.errors import first_line, scrub
from mlcvbench.files.npz import write_npz
from mlcvbench.plan.config import RunConfig
from mlcvbench.records.schema import LayersInfo, MemoryInfo, NoticeInfo, OperationsInfo, Record
from mlcvbench.running.fitting import Fitted
from mlcvbench.running.record_draft import Draft

LATENCY_FILE = "latency.npz"
_Part = TypeVar("_Part")


@dataclass(frozen=True, slots=True)
class Measured:
    """What the cost passes work on: the fitted model, and the accuracy pass they must agree with."""

    fitted: Fitted
    task: Task
    problem: Problem
    test: Split
    predictions: Predictions
    batch: int


def measure_costs(config: RunConfig, folder: Path, draft: Draft, subject: Measured) -> dict[str, Array]:
    """Count operations; then, unless `time=off`, measure memory and latency and make the honesty checks.

    Returns the raw latencies, nanoseconds by stage.
    """
    with draft.stage("operations"):
        _count(draft, subject)
    draft.keep()
    if config.time == "off":
        return {}
    from mlcvbench import measure
    from mlcvbench.measure import checks

    model, weights = subject.fitted.model, subject.fitted.weights
    with draft.stage("memory"):
        draft.parts["memory"] = _or(
            draft, lambda reason: MemoryInfo(reason=reason), lambda: measure.measure_memory(config, weights)
        )
    draft.keep()
    with draft.stage("latency"):
        result = _or(draft, measure.untimed, lambda: measure.measure_time(config, model, subject.test, weights))
        draft.parts |= {"latency": result.latency, "throughput": result.throughput, "yardstick": result.yardstick}
        draft.note_gpu(result.gpu)
        if result.samples:
            write_npz(folder / LATENCY_FILE, result.samples)
    draft.keep()
    with draft.stage("checks"):
        draft.parts["checks"] = _or(
            draft,
            checks.not_made,
            lambda: measure.check_honesty(
                model, subject.test, subject.predictions, subject.task, subject.problem, subject.batch
            ),
        )
    draft.keep()
    return result.samples


def ended_early(record: Record, stage: str, why: str) -> Record:
    """Return what was kept of a run whose process ended while it was measured: the rest is null with the reason."""
    from mlcvbench.measure import checks, untimed

    reason = scrub(f"it could not be measured: {why.rstrip('.')}")
    text = f"The run ended while it measured ({stage}): {scrub(why)} Its score stands; what was not measured is null."
    changes: dict[str, Any] = {"notices": (*record.notices, NoticeInfo(code="measuring-ended-early", text=text))}
    if record.operations == OperationsInfo():
        changes["operations"] = OperationsInfo(reason=reason)
    if record.config["time"] != "off":
        none = untimed(reason)
        if record.memory == MemoryInfo():
            changes["memory"] = MemoryInfo(reason=reason)
        if not record.latency:
            changes |= {"latency": none.latency, "throughput": none.throughput, "yardstick": none.yardstick}
        if not record.checks:
            changes["checks"] = checks.not_made(reason)
    return record.model_copy(update=changes)


def _count(draft: Draft, subject: Measured) -> None:
    """Count operations and layers of the first sample."""
    from mlcvbench import measure

    model = subject.fitted.model

    def counted() -> tuple[OperationsInfo, LayersInfo | None]:
        one = next(iter(subject.test.inputs(1)))
        operations = measure.count_operations(model, one)
        return operations, measure.tabulate_layers(model, one, operations)

    found = _or(draft, lambda reason: (OperationsInfo(reason=reason), None), counted)
    draft.parts["operations"], draft.parts["layers"] = found


def _or(draft: Draft, without: Callable[[str], _Part], measure: Callable[[], _Part]) -> _Part:
    """Return what was measured, or the part that holds the reason why it could not be."""
    try:
        return measure()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a score is kept whatever a method does while it is measured
        if draft.parts["isolated"]:  # this process has a log of its own
            traceback.print_exc(file=sys.stderr)
        return without(scrub(f"it could not be measured: {first_line(error)}"))
