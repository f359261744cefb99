"""The cost passes of a run: operations, memory, latency and honesty checks, after its predictions are scored.

A failing pass does not fail the run: its values are null with the reason, and the traceback is in the run's log.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlcvbench.contract import Predictions, Problem, Split, Task
from mlcvbench.errors import scrub
from mlcvbench.files.npz import write_npz
from mlcvbench.records.schema import LayersInfo, MemoryInfo, NoticeInfo, OperationsInfo, Record
from mlcvbench.running.fitting import Fitted
from mlcvbench.running.record_draft import Draft
from mlcvbench.running.results import Costs, Results

LATENCY_FILE = "latency.npz"


@dataclass(frozen=True, slots=True)
class Measured:
    """The input of the cost passes: the fitted model, and the accuracy pass they must agree with."""

    fitted: Fitted
    task: Task
    problem: Problem
    test: Split
    predictions: Predictions
    batch: int


def measure_costs(draft: Draft, folder: Path, subject: Measured) -> Iterator[Costs]:
    """Count operations; then, unless `time=off`, measure memory and latency and run the honesty checks.

    Yields what is known after each pass; the raw latencies, nanoseconds by stage, are written into `folder`.
    """
    with draft.stage("operations"):
        operations, layers = draft.attempt(
            lambda: _count(subject), lambda why: (OperationsInfo(reason=_not_measured(why)), None)
        )
    costs = Costs(operations, layers)
    yield costs
    config = draft.subject.config
    if config.time == "off":
        return
    from mlcvbench import measure
    from mlcvbench.measure import checks

    model, weights = subject.fitted.model, subject.fitted.weights
    with draft.stage("memory"):
        memory = draft.attempt(
            lambda: measure.measure_memory(config, weights), lambda why: MemoryInfo(reason=_not_measured(why))
        )
    costs = replace(costs, memory=memory)
    yield costs
    with draft.stage("latency"):
        timing = draft.attempt(
            lambda: measure.measure_time(config, model, subject.test, weights),
            lambda why: measure.untimed(_not_measured(why)),
        )
        if timing.samples:
            write_npz(folder / LATENCY_FILE, timing.samples)
    costs = replace(costs, timing=timing)
    yield costs
    with draft.stage("checks"):
        made = draft.attempt(
            lambda: measure.check_honesty(
                model, subject.test, subject.predictions, subject.task, subject.problem, subject.batch
            ),
            lambda why: checks.not_made(_not_measured(why)),
        )
    yield replace(costs, checks=made)


def measured_digest(results: Results) -> str:
    """Return the sha256 of a model's measured costs: another one with equal predictions may be faster."""
    costs, timing, fit = results.costs, results.costs.timing, results.fit
    parts = {
        "operations": costs.operations,
        "layers": costs.layers,
        "parameters": fit.parameters if fit else None,
        "memory": costs.memory,
        "latency": timing.latency if timing else {},
        "throughput": timing.throughput if timing else None,
    }
    plain = json.dumps(parts, sort_keys=True, default=lambda part: part.model_dump(mode="json"))
    return hashlib.sha256(plain.encode()).hexdigest()


def ended_early(record: Record, stage: str, why: str) -> Record:
    """Return the record of a run whose process ended during measurement: what is missing is null with the reason."""
    from mlcvbench.measure import checks, untimed

    reason = _not_measured(why.rstrip("."))
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


def _not_measured(why: str) -> str:
    return scrub(f"it could not be measured: {why}")


def _count(subject: Measured) -> tuple[OperationsInfo, LayersInfo | None]:
    """Count operations and layers of the first sample."""
    from mlcvbench import measure

    return measure.count(subject.fitted.model, next(iter(subject.test.inputs(1))))
