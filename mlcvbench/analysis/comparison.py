"""Compare two stored runs: paired differences of their metrics over the shared bootstrap resamples.

A difference has the interval of `intervals.difference` and the two-sided p-value of `intervals.p_value`: one minus the
level at which that interval just reaches zero. The p-values are not corrected for several metrics; the primary metric
is fixed beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlcvbench.contract import Array
from mlcvbench.errors import RequestError
from mlcvbench.records.display import metric_order
from mlcvbench.records.doubts import doubts
from mlcvbench.records.schema import Record
from mlcvbench.records.stages import HEADLINE
from mlcvbench.stats import bootstrap, intervals


@dataclass(frozen=True, slots=True)
class MetricDifference:
    """Second minus first; `low`, `high` bound the difference at 95 %, `p` of no difference; None without replicates."""

    name: str
    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None
    higher_is_better: bool = True
    p: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """`gain`: the change of the primary metric, positive when the second run is better, `gain_low` its lower end.

    `metrics`: the primary first. `n` samples in `groups` groups, None where a record does not state it. `said`: what
    must be known about the numbers of the first run, and of the second.
    """

    first: str
    second: str
    primary: str
    gain: float | None
    gain_low: float | None
    n: int
    groups: int | None
    metrics: tuple[MetricDifference, ...]
    latency_ratio: float | None
    latency_note: str
    said: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())


def compare_runs(first: tuple[Record, Path], second: tuple[Record, Path]) -> Comparison:
    """Compare two runs of one protocol on the same data; RequestError when they cannot be compared."""
    (a, a_folder), (b, b_folder) = first, second
    _check_comparable(a, b)
    a_replicates, b_replicates = _replicates(a_folder), _replicates(b_folder)
    metrics = [
        _difference(name, a, b, a_replicates.get(name), b_replicates.get(name))
        for name in metric_order(a)
        if name in b.metrics
    ]
    primary = a.primary_metric or next(iter(a.metrics))
    change = next((d for d in metrics if d.name == primary), None)
    gain, gain_low = (None, None) if change is None else _gain(change)
    ratio, note = _latency(a, b)
    return Comparison(
        first=a.run_id,
        second=b.run_id,
        primary=primary,
        gain=gain,
        gain_low=gain_low,
        n=a.dataset.n if a.dataset else 0,
        groups=a.intervals.get("groups"),
        metrics=tuple(metrics),
        latency_ratio=ratio,
        latency_note=note,
        said=(_said(a), _said(b)),
    )


def _gain(change: MetricDifference) -> tuple[float | None, float | None]:
    """Return by how much the second run is better, and the lower end of its interval."""
    if change.higher_is_better:
        return change.difference, change.low
    return (
        None if change.difference is None else -change.difference,
        None if change.high is None else -change.high,
    )


def _said(record: Record) -> tuple[str, ...]:
    """Return what must be known about a record's numbers."""
    taken_back = record.retraction
    lines = [f"retracted on {taken_back.date}: {taken_back.reason}"] if taken_back else []
    lines += [f"contaminated: {record.contaminated}"] if record.contaminated else []
    return (*lines, *(notice.text for notice in record.notices), *(str(doubt) for doubt in doubts(record)))


def _replicates(folder: Path) -> dict[str, Array]:
    path = folder / bootstrap.REPLICATES_FILE
    return dict(bootstrap.load_replicates(path)) if path.is_file() else {}


def _check_comparable(a: Record, b: Record) -> None:
    for record in (a, b):
        if record.status != "ok" or record.dataset is None:
            raise RequestError(f"run {record.run_id!r} has status {record.status!r}, so there is nothing to compare.")
    if a.task.protocol_id != b.task.protocol_id:
        raise RequestError(
            f"runs of different protocols cannot be compared: {a.task.protocol_id!r} and {b.task.protocol_id!r}."
        )
    if a.dataset is not None and b.dataset is not None and a.dataset.fingerprint != b.dataset.fingerprint:
        raise RequestError(f"runs on different data cannot be compared: {_data(a)} and {_data(b)}.")


def _data(record: Record) -> str:
    """Describe the data of a run, so that two data sets can be told apart."""
    dataset = record.dataset
    if dataset is None:
        return "nothing"
    return f"{dataset.n:,} samples of {dataset.name} {dataset.version} (fingerprint {dataset.fingerprint[:8]})"


def _difference(
    name: str, a: Record, b: Record, a_replicates: Array | None, b_replicates: Array | None
) -> MetricDifference:
    x, y = a.metrics[name].value, b.metrics[name].value
    change = None if x is None or y is None else y - x
    low = high = p = None
    alike = a.intervals.get("bundles") == b.intervals.get("bundles")
    if a_replicates is not None and b_replicates is not None and alike and len(a_replicates) == len(b_replicates):
        groups = a.intervals.get("groups")  # older records lack it: assume many
        low, high = intervals.difference(change, a_replicates, b_replicates, groups)
        p = intervals.p_value(change, a_replicates, b_replicates, groups)
    return MetricDifference(name, x, y, change, low, high, a.metrics[name].higher_is_better, p)


def _latency(a: Record, b: Record) -> tuple[float | None, str]:
    x, y = a.latency.get(HEADLINE), b.latency.get(HEADLINE)
    if x is None or y is None or not x.median or not y.median:
        return None, "latency: not measured in both runs"
    if a.env_class != b.env_class:
        return None, f"latency: not comparable ({a.env_class} against {b.env_class})"
    if a.latency[HEADLINE].interval != "prediction-95" or y.interval != "prediction-95":
        return y.median / x.median, "latency: within one process each; use time=publish for an interval"
    apart = bool((y.low or 0) > (x.high or 0) or (x.low or 0) > (y.high or 0))
    return y.median / x.median, f"latency: {'distinguishable' if apart else 'not distinguishable'} between processes"
