"""Honesty checks: the timed model is the scored model, and its speed is genuine. Boards show them in the row."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mlcvbench.contract import Batch, Model, Predictions, Problem, Split, Task
from mlcvbench.contract.agreement import NO_STEPS, agreement, differing_rows
from mlcvbench.contract.batch import Array, Column, take
from mlcvbench.errors import first_line, scrub
from mlcvbench.records.schema import CheckInfo

CHECKS = ("timed_equals_scored", "deterministic", "batch_invariant", "no_replay_cache")
SAMPLES = 64
REPLAYED, REPLAYS, FASTER = 8, 5, 1.2
LEAST_ATTEMPTS, MOST_ATTEMPTS, ATTEMPT_NS = 3, 20, 5_000_000_000
"""A failing replay check is repeated at least this often and for five seconds, since a busy machine looks like a
cache."""

Clock = Callable[[], int]


def honesty(
    model: Model,
    split: Split,
    accuracy_predictions: Predictions,
    task: Task,
    problem: Problem,
    batch_size: int = 64,
    *,
    clock: Clock = time.perf_counter_ns,
) -> dict[str, CheckInfo]:
    """Run all checks on the first min(64, n) samples; `batch_size` is that of the accuracy pass.

    `timed_equals_scored`: the stages give bit for bit what was scored. `deterministic`: so does a second pass.
    `batch_invariant`: batches of one agree within 1e-4, with equal decisions on 99.9 %. `no_replay_cache`: a sample
    seen before is not predicted faster.
    """
    count = min(SAMPLES, len(split))
    blocks = list(split.inputs(batch_size, _whole_blocks(count, batch_size, len(split))))
    first = _first(_predict(model, blocks, task, problem), count)
    singles = list(split.inputs(1, np.arange(count)))
    scored = _first(accuracy_predictions, count)

    def again() -> Predictions:
        return _first(_predict(model, blocks, task, problem), count)

    return {
        "timed_equals_scored": _identical(first, scored, "the timed stages", "the accuracy pass"),
        "deterministic": _made(lambda: _identical(again(), first, "a second pass", "the first")),
        "batch_invariant": _made(lambda: agree(_predict(model, singles, task, problem), first, task.steps)),
        "no_replay_cache": _made(lambda: no_replay_cache(model, singles, clock=clock)),
    }


def not_made(reason: str) -> dict[str, CheckInfo]:
    """Return all checks as not made, with the reason."""
    return {name: CheckInfo(passed=None, detail=reason) for name in CHECKS}


def _made(check: Callable[[], CheckInfo]) -> CheckInfo:
    """Return the outcome of a check, or why it could not be run."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - a method may fail at batch 1 and not at 64; the other checks go on
        return CheckInfo(passed=None, detail=scrub(f"it could not be made: {first_line(error)}"))


def _whole_blocks(count: int, size: int, total: int) -> Array:
    """Return the indices of the accuracy pass's blocks that hold the first `count` samples."""
    return np.arange(min(total, -(-count // size) * size))


def _predict(model: Model, batches: Sequence[Batch], task: Task, problem: Problem) -> Predictions:
    """Predict by the three stages, checked and quantised as the scored predictions were."""
    parts = []
    for batch in batches:
        raw = model.postprocess(model.forward(model.preprocess(batch)), batch)
        parts.append(task.check(raw, batch.ids, problem))
    return task.merge(parts)


def _first(predictions: Predictions, count: int) -> Predictions:
    return {name: take(column, slice(0, count)) for name, column in predictions.items()}


def _identical(got: Predictions, wanted: Predictions, who: str, whom: str) -> CheckInfo:
    """Compare bit for bit."""
    total = 0
    for name in sorted(wanted):
        rows = differing_rows(got[name], wanted[name])
        if rows:
            return CheckInfo(
                passed=False, detail=f"{who} and {whom} differ in {name!r} on {rows} of {len(wanted[name])}"
            )
        total = len(wanted[name])
    return CheckInfo(passed=True, detail=f"identical on {total} samples")


def agree(alone: Predictions, together: Predictions, steps: Mapping[str, float] = NO_STEPS) -> CheckInfo:
    """Check that batches of one agree with larger ones."""
    found = agreement(alone, together, steps)
    return CheckInfo(passed=found.passed, detail=str(found))


def no_replay_cache(model: Model, singles: Sequence[Batch], *, clock: Clock = time.perf_counter_ns) -> CheckInfo:
    """Check that five replays of a sample are not faster than 1/1.2 of its first call (median over 8 samples).

    Image samples are inverted first, differently at each attempt, so that a cache filled by the accuracy pass shows
    too. A real cache shows at every attempt, noise does not: the best attempt counts.
    """
    if len(singles) < 2:
        return CheckInfo(passed=None, detail="needs two samples")
    best, begin = float("inf"), clock()
    width = min(REPLAYED, len(singles))
    for attempt in range(MOST_ATTEMPTS):
        chosen = [singles[(attempt * width + index) % len(singles)] for index in range(width)]
        best = min(best, statistics.median(_speed_up(model, chosen, attempt, clock)))
        if best <= FASTER or (attempt + 1 >= LEAST_ATTEMPTS and clock() - begin >= ATTEMPT_NS):
            break
    return CheckInfo(passed=best <= FASTER, detail=f"replayed samples run at {best:.2f} x the speed of new ones")


def _speed_up(model: Model, chosen: Sequence[Batch], attempt: int, clock: Clock) -> list[float]:
    """Return first / median replay time for each sample; another sample runs in between to level the caches."""
    ratios = []
    spacer = chosen[-1]
    for batch in chosen:
        unseen = _unseen(batch, attempt)
        _timed(model, spacer, clock)
        first = _timed(model, unseen, clock)
        replays = [_timed(model, unseen, clock) for _ in range(REPLAYS)]
        ratios.append(first / max(statistics.median(replays), 1))
        spacer = batch
    return ratios


def _unseen(batch: Batch, attempt: int) -> Batch:
    """Return the batch with 8-bit inputs inverted, differently at each attempt; other inputs are unchanged."""
    mask = np.uint8(255 - attempt)
    inputs: dict[str, Column] = {}
    for kind, column in batch.inputs.items():
        values = [np.asarray(value) for value in column]
        turned = [value ^ mask if value.dtype == np.uint8 else value for value in values]
        inputs[kind] = turned if isinstance(column, list) else np.stack(turned)
    return replace(batch, inputs=inputs)


def _timed(model: Model, batch: Batch, clock: Clock) -> int:
    """Return the nanoseconds of one predict, which ends with the copy to the host and so needs no synchronisation."""
    start = clock()
    model.predict(batch)
    return clock() - start
