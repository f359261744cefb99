"""A record for reading: as lines of at most 80 columns, and as a small table in a notebook."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mlcvbench.records.doubts import doubts
from mlcvbench.records.stages import STAGES
from mlcvbench.records.units import count, seconds, size

if TYPE_CHECKING:  # imported by the schema to show its records
    from mlcvbench.records.schema import LatencyInfo, Metric, OperationsInfo, Record, SelectionInfo, TrialInfo

Fact = tuple[str, str, str]
"""A row of a shown record: section, name and value."""
NAME_WIDTH = 24


def metric_value(metric: Metric) -> str:
    """Return a metric with its interval, fractions in percent.

    >>> from mlcvbench.records.schema import Metric
    >>> metric_value(Metric(value=0.9712, low=0.96, high=0.98))
    '97.12 %  [96.00, 98.00]'
    """
    if metric.value is None:
        return f"- ({metric.reason or 'undefined'})"
    shown = _in_unit(metric.value, metric.unit)
    if metric.low is None or metric.high is None:
        return shown
    scale, digits = _scale(metric.unit)
    return f"{shown}  [{metric.low * scale:.{digits}f}, {metric.high * scale:.{digits}f}]"


def _in_unit(value: float, unit: str) -> str:
    scale, digits = _scale(unit)
    shown = {"fraction": " %", "1": ""}.get(unit, f" {unit}")
    return f"{value * scale:.{digits}f}{shown}"


def _scale(unit: str) -> tuple[int, int]:
    """Return the display factor of a value and its decimals."""
    return (100, 2) if unit == "fraction" else (1, 4)


def rows(record: Record) -> Iterator[Fact]:
    """Yield (section, name, value) of what a reader wants to see of a record."""
    yield "run", "id", record.run_id
    yield "run", "status", record.status + (" (partial)" if record.partial else "")
    model = record.model
    name = f", {model.name}" if model.title else ""
    maker = f"{model.plugin} {model.plugin_version}".strip().strip("()")  # `(predictions)` already has brackets
    yield "run", "model", f"{model.called}{name} ({maker})"
    dataset = record.dataset
    if dataset is not None:
        yield "run", "data", f"{dataset.name}/{dataset.split}, n = {dataset.n}, {dataset.fingerprint[:12]}"
    yield from _file_rows(record)
    yield "run", "protocol", record.task.protocol_id
    if record.predictions:
        yield "run", "predictions", record.predictions
    yield "run", "seed", str(record.seed)
    yield "run", "trust", record.trust + (f", contaminated: {record.contaminated}" if record.contaminated else "")
    if record.error is not None:
        yield "error", record.error.stage, record.error.message
    if record.retraction is not None:
        yield "retracted", record.retraction.date, record.retraction.reason
    for notice in record.notices:
        yield "notices", notice.code, notice.text
    for doubt in doubts(record):
        yield "doubts", "", str(doubt)
    for name in metric_order(record):
        yield "metrics", name, metric_value(record.metrics[name])
    yield from _selection_rows(record)
    yield from _cost_rows(record)
    for name, check in record.checks.items():
        yield "checks", name, {True: "passed", False: "FAILED", None: "not made"}[check.passed] + f": {check.detail}"
    yield "machine", "class", record.env_class or "-"
    yield "command", "", record.command


def _file_rows(record: Record) -> Iterator[Fact]:
    """Yield the files that decided the numbers, since the command does not state their content."""
    from mlcvbench.errors import short_digests

    definition = record.config.get("definition") or {}
    if definition.get("file") and definition.get("sha256"):
        yield "run", "benchmark", f"{definition['file']}@{definition['sha256'][:12]}"
    named = {f"model.{name}": value for name, value in record.model.params.items()}
    named |= {f"fit.{name}": value for name, value in (record.config.get("fit") or {}).items()}
    named |= {**(record.config.get("reading") or {}), "weights": record.config.get("weights")}
    for key, value in named.items():
        if isinstance(value, str) and (shown := short_digests(value)) != value:
            yield "run", key, shown


def _selection_rows(record: Record) -> Iterator[Fact]:
    selection = record.selection
    if selection is None:
        return
    winner = selection.trials[selection.winner]
    again = "fitted again on all of it" if selection.refit else "kept as it was fitted"
    ok = sum(trial.status == "ok" for trial in selection.trials)
    yield "selection", "method", f"{selection.method}, {ok} of {len(selection.trials)} candidates with a value"
    yield "selection", "decided by", f"{selection.metric} on {selection.split}, n = {selection.n}"
    yield "selection", "winner", f"{settings_text(winner.settings)}; {again}"
    yield "selection", "note", selection.note
    for number, trial in enumerate(selection.trials):
        mark = " *" if number == selection.winner else ""
        yield (
            "selection",
            f"trial {number + 1}{mark}",
            f"{settings_text(trial.settings)}: {trial_text(selection, trial)}",
        )


def settings_text(settings: Mapping[str, Any]) -> str:
    """Return settings as the command line takes them.

    >>> settings_text({"model.k": 3, "fit.augment": True})
    'model.k=3 fit.augment=true'
    """
    from mlcvbench.errors import short_digests
    from mlcvbench.specs.values import text

    return " ".join(f"{name}={short_digests(text(value))}" for name, value in settings.items())


def trial_text(selection: SelectionInfo, trial: TrialInfo) -> str:
    """Return the outcome of a candidate: its value, or what failed."""
    if trial.status != "ok":
        return f"{trial.status}, {trial.message}"
    shown = "- (undefined)" if trial.value is None else _in_unit(trial.value, selection.unit)
    return f"{shown}, fit {seconds(trial.seconds)}"


def metric_order(record: Record) -> list[str]:
    """Return the metric names in the benchmark's order, the primary first; the keys of the JSON are sorted."""
    listed = [record.primary_metric, *record.config.get("definition", {}).get("metrics", ())]
    wanted = [name for name in listed if name in record.metrics]
    return list(dict.fromkeys([*wanted, *record.metrics]))


def _stage_place(stage: str) -> tuple[int, str]:
    return (STAGES.index(stage) if stage in STAGES else len(STAGES), stage)


def _cost_rows(record: Record) -> Iterator[Fact]:
    for stage in sorted(record.latency, key=_stage_place):
        timing = record.latency[stage]
        processes = f"{timing.processes} process{'es' * (timing.processes > 1)}"
        tail = f"p99 {seconds(timing.p99)}, n = {timing.n}, {processes}"
        yield "latency", f"{stage}, batch {timing.batch}", f"{seconds(timing.median)} (median){_ends(timing)}, {tail}"
    if record.throughput.images_per_s is not None:
        rate = f"{record.throughput.images_per_s:,.0f} images/s at batch {record.throughput.batch}"
        yield "cost", "throughput", rate
    operations = record.operations
    yield "cost", "MACs / FLOPs", _operations(operations.macs, operations.flops, operations.reason)
    for name, number in operations.other_ops.items():
        yield "cost", name, count(number)
    if operations.uncounted:
        yield "cost", "not counted", uncounted_text(operations)
    if record.layers is not None and record.layers.reason and record.layers.reason != operations.reason:
        yield "cost", "layers", f"- ({record.layers.reason})"
    if record.parameters is not None:
        parameters = record.parameters
        yield "cost", "parameters", f"{parameters.trainable:,} trainable, {size(parameters.bytes)} fitted"
    peak = record.memory.host_peak
    yield "cost", "memory (host peak)", size(peak) if peak is not None else f"- ({record.memory.reason or 'off'})"
    if record.memory.device_peak_allocated is not None:
        yield "cost", "memory (device peak)", size(record.memory.device_peak_allocated)
    cached = ", from the cache" if record.fit.cached else ""
    yield "cost", "fit", seconds(record.fit.seconds) + cached


def _ends(timing: LatencyInfo) -> str:
    """Return the 95 % interval of a time's median, empty where there is none."""
    if timing.low is None or timing.high is None:
        return ""
    return f" [{seconds(timing.low)}, {seconds(timing.high)}]"


def uncounted_text(operations: OperationsInfo) -> str:
    """Return which operators were not counted, with their calls and their approximate share of the work.

    >>> from mlcvbench.records.schema import OperationsInfo
    >>> uncounted_text(OperationsInfo(macs=8, coverage=0.9684, uncounted={"aten.gelu": 12, "aten.add": 1}))
    'about 3.2 % of the work: aten.gelu 12 calls, aten.add 1 call'
    """
    calls = ", ".join(f"{name} {calls} call{'s' * (calls > 1)}" for name, calls in operations.uncounted.items())
    if operations.coverage is None:
        return f"an unknown share of the work: {calls}"
    return f"about {100 * (1 - operations.coverage):.2g} % of the work: {calls}"


def _operations(macs: int | None, flops: int | None, reason: str | None) -> str:
    return f"{count(macs)} / {count(flops)}" if macs is not None else f"- ({reason or 'not counted'})"


def to_text(record: Record, width: int = 80) -> str:
    """Return the record as text, long values wrapped at `width` columns."""
    import textwrap

    lines: list[str] = []
    section = ""
    for part, name, value in rows(record):
        if part != section:
            lines += ["", part] if lines else [part]
            section = part
        head = f"  {name:<{NAME_WIDTH}}" if name else "  "
        if len(name) >= NAME_WIDTH:  # a name that would touch its value gets a line of its own
            lines.append(head)
            head = " " * (NAME_WIDTH + 2)
        wrapped = textwrap.wrap(value, width - len(head), break_on_hyphens=False) or [""]
        lines.append(head + wrapped[0])
        lines += [" " * len(head) + more for more in wrapped[1:]]
    return "\n".join(lines)


def to_html(record: Record) -> str:
    """Return the record as an HTML table for a notebook; every value is escaped."""
    body, section = [], ""
    for part, name, value in rows(record):
        head = f"<th rowspan='1' style='text-align:left'>{html.escape(part if part != section else '')}</th>"
        section = part
        cells = (
            f"<td style='text-align:left'>{html.escape(name)}</td><td style='text-align:left'>{html.escape(value)}</td>"
        )
        body.append(f"<tr>{head}{cells}</tr>")
    return f"<table>{''.join(body)}</table>"
