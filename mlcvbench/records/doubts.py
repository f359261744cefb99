"""Doubts about a record's own numbers: failed honesty checks, uncertain times, fits that ended early.

Computed from the record, so that records of every age are treated alike. A time is doubted when

- the 95 % interval of its median is wider than `WIDE` of the median: boards treat times within 20 % of each other as
  equal, so a wider interval does not even say that much;
- one stage of a call takes over `LONGER` times as long as the whole call, which is impossible;
- the yardstick around it moved by more than max(10 %, 3 x its own deviation), or had a deviation of more than
  `UNSTEADY`: such a machine is not steady enough for timing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from mlcvbench.records.stages import HEADLINE, PARTS
from mlcvbench.records.units import seconds

if TYPE_CHECKING:  # imported by the schema to show its records
    from mlcvbench.records.schema import LatencyInfo, Record, YardstickInfo

WIDE = 0.20
LONGER = 1.05
CHANGED = 0.10
UNSTEADY = 0.10
DECISIVE = ("timed_equals_scored", "deterministic", "batch_invariant")
"""Honesty checks without which score and time may belong to different models: a run that fails one is not ranked."""
_UNRANKED = ", so no board ranks it"


class Doubt(NamedTuple):
    """`text` states it in words shared by all of its kind, `detail` with the numbers of this record.

    `about`: the method's honesty, its time, or its fit.
    """

    about: Literal["check", "time", "fit"]
    text: str
    detail: str

    def __str__(self) -> str:
        return f"{self.text}: {self.detail}" if self.detail else self.text


def doubts(record: Record) -> list[Doubt]:
    """Return all doubts about a record's numbers, failed checks first."""
    return [*_failed_checks(record), *_timing(record), *_fit(record)]


def decisive(record: Record) -> Doubt | None:
    """Return the failed honesty check for which a record is not ranked, None when it may be."""
    for name in DECISIVE:
        check = record.checks.get(name)
        if check is not None and check.passed is False:
            return Doubt("check", f"honesty check failed: {name}", check.detail)
    return None


def is_wide(low: float | None, high: float | None, median: float | None) -> bool:
    """Return whether an interval is too wide for its median; an unknown one is not.

    >>> is_wide(0.474, 216.0, 5.79), is_wide(0.98, 1.02, 1.0)
    (True, False)
    """
    return low is not None and high is not None and median is not None and high - low > WIDE * median


def is_noisy(before: float, after: float, deviation: float) -> bool:
    """Return whether the yardstick changed between two readings (seconds), or was unsteady in itself.

    >>> is_noisy(0.010, 0.0104, 0.02), is_noisy(0.010, 0.0112, 0.02), is_noisy(0.010, 0.010, 0.46)
    (False, True, True)
    """
    return deviation > UNSTEADY or abs(after - before) > max(CHANGED, 3 * deviation) * before


def _failed_checks(record: Record) -> Iterator[Doubt]:
    for name, check in sorted(record.checks.items()):
        if check.passed is False:
            yield Doubt("check", f"check failed: {name}{_UNRANKED * (name in DECISIVE)}", check.detail)


def _timing(record: Record) -> Iterator[Doubt]:
    whole = record.latency.get(HEADLINE)
    if whole is not None and is_wide(whole.low, whole.high, whole.median):
        yield Doubt("time", f"time uncertain: its 95 % interval is wider than {_percent(WIDE)} of it", _interval(whole))
    elif whole is not None and whole.n and not whole.converged:
        yield Doubt("time", "timing did not converge", f"{whole.n} calls were timed before its time was up")
    if whole is not None and whole.median is not None:
        for stage in PARTS:
            part = record.latency.get(stage)
            if part is not None and part.median is not None and part.median > LONGER * whole.median:
                said = f"{stage} {seconds(part.median)}, end to end {seconds(whole.median)}"
                yield Doubt("time", "time contradicts itself: a stage takes longer than the whole call", said)
                break
    pace = _yardstick(record.yardstick)
    if pace is not None:
        yield Doubt("time", "noisy machine while timing", pace)


def _yardstick(info: YardstickInfo) -> str | None:
    """Return the yardstick's readings when the machine was noisy, None when it was quiet or not measured."""
    if info.before is None or info.after is None or info.deviation is None:
        return "" if info.noisy else None
    if not is_noisy(info.before, info.after, info.deviation):
        return None
    pace = f"{seconds(info.before)} before and {seconds(info.after)} after it"
    return f"a fixed job took {pace}, give or take {_percent(info.deviation)}"


def _fit(record: Record) -> Iterator[Doubt]:
    if record.fit.cached:
        yield Doubt("fit", "fit cost of the original fit (weights cached)", "")
    if record.fit.cut_short:
        yield Doubt("fit", "fit cut short by its budget", "")


def _interval(latency: LatencyInfo) -> str:
    return f"{seconds(latency.low)} to {seconds(latency.high)} around {seconds(latency.median)}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
