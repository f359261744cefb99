"""From records to rows: one row per model, configuration and hardware, with the training seeds merged."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median

from mlcvbench.records.doubts import doubts
from mlcvbench.records.schema import EnvironmentInfo, LatencyInfo, NoticeInfo, Record, Trust
from mlcvbench.records.stages import HEADLINE
from mlcvbench.stats.intervals import METHOD

TRUST_ORDER: tuple[Trust, ...] = ("reported", "recomputed", "rerun")


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A record and its folder."""

    record: Record
    folder: Path


@dataclass(frozen=True, slots=True)
class Cell:
    """A number of a row with its 95 % interval where there is one; `reason` says why it is null."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One line of a board. `runs` are its records by seed; `costs` are in SI units; a smaller `band` is better.

    `rank_low`, `rank_high`, `band` are null for a row without replicates. `front`: on the Pareto front of score and
    p50 among the rows of its hardware; `near_front`: off it, but its score interval reaches it. `flags`: doubts about
    its numbers (`records.doubts`), in words that rows share; `notices`: those of its records. `hardware` and
    `env_class` are empty where the predictions were made elsewhere.
    """

    key: str
    model: str
    family: str
    config: str
    hardware: str
    env_class: str
    runs: tuple[StoredRun, ...]
    metrics: Mapping[str, Cell]
    costs: Mapping[str, Cell]
    trust: Trust
    flags: tuple[str, ...] = ()
    notices: tuple[NoticeInfo, ...] = ()
    rank_low: int | None = None
    rank_high: int | None = None
    band: int | None = None
    front: bool = False
    near_front: bool = False

    @property
    def record(self) -> Record:
        """The record of the first seed."""
        return self.runs[0].record

    @property
    def seeds(self) -> tuple[int, ...]:
        """The training seeds merged here."""
        return tuple(entry.record.seed for entry in self.runs)

    @property
    def name(self) -> str:
        """Model and configuration as one line."""
        return f"{self.model} {self.config}".strip()


@dataclass(frozen=True, slots=True)
class Unranked:
    """A record that is shown below the table and never ranked; `reason` is one sentence."""

    entry: StoredRun
    config: str
    reason: str
    state: str = field(default="")


def hardware_label(environment: EnvironmentInfo) -> str:
    """Return the displayed name of the machine: the accelerator or the processor, threads and precision."""
    chip = environment.gpu if environment.device.startswith("cuda") and environment.gpu else environment.cpu
    parts = [chip or "unknown hardware"]
    if environment.threads:
        parts.append(f"{environment.threads} thread{'s' if environment.threads > 1 else ''}")
    if environment.precision != "float32":
        parts.append(environment.precision)
    return ", ".join(parts)


def merge_seeds(entries: Sequence[StoredRun]) -> list[list[StoredRun]]:
    """Return the entries in groups of equal group key and environment class, each sorted by seed, one per seed."""
    groups: dict[tuple[str, str], dict[int, StoredRun]] = defaultdict(dict)
    for entry in sorted(entries, key=lambda entry: entry.record.run_id):
        groups[entry.record.group_key, entry.record.env_class].setdefault(entry.record.seed, entry)
    return [[group[seed] for seed in sorted(group)] for _, group in sorted(groups.items())]


def make_row(group: Sequence[StoredRun], label: str) -> BoardRow:
    """Merge the records of one seed group into a row: means of scores, medians of latency, maxima of memory."""
    records = [entry.record for entry in group]
    first = records[0]
    return BoardRow(
        key=f"{first.group_key[:16]}-{first.env_class}",
        model=first.model.called,
        family=first.model.family,
        config=label,
        hardware=hardware_label(first.environment) if first.env_class else "",
        env_class=first.env_class,
        runs=tuple(group),
        metrics={name: _merged_metric(records, name) for name in first.metrics},
        costs=_costs(records),
        trust=min((record.trust for record in records), key=TRUST_ORDER.index),
        flags=_flags(records),
        notices=_notices(records),
    )


def _merged_metric(records: Sequence[Record], name: str) -> Cell:
    found = [record.metrics[name] for record in records if name in record.metrics]
    values = [metric.value for metric in found if metric.value is not None]
    if len(values) < len(records):
        return Cell(None, reason=next((m.reason for m in found if m.reason), "not defined for every seed"))
    if len(records) == 1:
        comparable = records[0].intervals.get("method") == METHOD
        return Cell(values[0], found[0].low, found[0].high) if comparable else Cell(values[0])
    return Cell(fmean(values))  # the interval over seeds and units comes from the replicates


def _flags(records: Sequence[Record]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(doubt.text for record in records for doubt in doubts(record)))


def _notices(records: Sequence[Record]) -> tuple[NoticeInfo, ...]:
    return tuple(dict.fromkeys(notice for record in records for notice in record.notices))


def _costs(records: Sequence[Record]) -> dict[str, Cell]:
    first = records[0]
    headline = [record.latency.get(HEADLINE) for record in records]
    parameters = [record.parameters for record in records if record.parameters is not None]
    return {
        "p50": _latency(headline, "p50"),
        "p99": _latency(headline, "p99"),
        "images_per_s": _over(
            [r.throughput.images_per_s for r in records], median, first.throughput.reason or "not timed"
        ),
        "macs": _over([r.operations.macs for r in records], max, first.operations.reason or "not counted"),
        "flops": _over([r.operations.flops for r in records], max, first.operations.reason or "not counted"),
        "params": _over([p.trainable + p.frozen for p in parameters], max, "not counted"),
        "size_bytes": _over([p.bytes for p in parameters], max, "not counted"),
        "peak_bytes": _over(
            [_peak(record) for record in records], max, first.memory.reason or "memory was not measured"
        ),
        "energy": Cell(None, reason="no energy counter was read"),
        "fit_s": _over([_fit_seconds(record) for record in records], fmean, "nothing was fitted here"),
        "train_samples": _over([learned_from(record) for record in records], max, "nothing was fitted here"),
        "year": _over([record.model.year for record in records], max, "not stated"),
    }


def learned_from(record: Record) -> int | None:
    """Return how many samples a run's model learned from, those that it validated on included; None if unknown."""
    fit = record.fit
    return None if fit.train_samples is None else fit.train_samples + (fit.val_samples or 0)


def _fit_seconds(record: Record) -> float | None:
    """Return the seconds to obtain the model: its fit, and the fits of all candidates where a search chose it."""
    selection = record.selection
    if selection is None or record.fit.seconds is None:
        return record.fit.seconds
    tried = sum(trial.seconds or 0.0 for trial in selection.trials)
    return tried + record.fit.seconds if selection.refit else tried


def _peak(record: Record) -> int | None:
    device = record.memory.device_peak_allocated
    return device if device is not None else record.memory.host_peak


def _over(values: Sequence[float | None], merge: Callable[[list[float]], float], reason: str) -> Cell:
    known = [value for value in values if value is not None]
    return Cell(merge(known)) if known else Cell(None, reason=reason)


def _latency(stages: Sequence[LatencyInfo | None], percentile: str) -> Cell:
    known = [stage for stage in stages if stage is not None and getattr(stage, percentile) is not None]
    if not known:
        said = next((stage.reason for stage in stages if stage is not None and stage.reason), None)
        few = next(
            (f"{stage.n} calls do not support {percentile}" for stage in stages if stage is not None), "not timed"
        )
        return Cell(None, reason=said or few)
    value = median(getattr(stage, percentile) for stage in known)
    if percentile != "p50":
        return Cell(value)
    lows = [stage.low for stage in known if stage.low is not None]
    highs = [stage.high for stage in known if stage.high is not None]
    return Cell(value, min(lows, default=None), max(highs, default=None))


def finite(value: float | None) -> bool:
    """Return whether a value is a number that can be ranked."""
    return value is not None and math.isfinite(value)
