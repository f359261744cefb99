"""The context of a run's page: its numbers and rank, its errors, its pictures, where and how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlcvbench.leaderboard.site.run_settings import settings_of
from mlcvbench.leaderboard.standing.boards import Board
from mlcvbench.leaderboard.standing.rows import BoardRow, Cell, StoredRun, hardware_label
from mlcvbench.leaderboard.tables.export import shortened
from mlcvbench.leaderboard.tables.wording import (
    DASH,
    cost,
    metric_title,
    rank_text,
    score,
    spread,
)
from mlcvbench.records.display import settings_text, uncounted_text
from mlcvbench.records.doubts import doubts
from mlcvbench.records.schema import BreakdownInfo, LatencyInfo, Record
from mlcvbench.records.stages import STAGES
from mlcvbench.records.units import count, significant

TIES_SHOWN = 6
LONGEST_VALUE = 400
LONGEST_TRACEBACK = 20_000
MOST_LINES = 20
"""Lines up to which a table of a breakdown is open."""


def run(
    board: Board,
    entry: StoredRun,
    row: BoardRow | None,
    pictures: Sequence[dict[str, Any]],
    *,
    config: str = "",
    reason: str = "",
) -> dict[str, Any]:
    """Return the context of a run's page; `row` is its line on the board, None when it is not ranked (`reason`)."""
    record = entry.record
    ties = [
        other for other in board.rows if row and other is not row and row.band is not None and other.band == row.band
    ]
    return {
        "record": record,
        "title": board.title,
        "board_page": f"{board.slug}.html",
        "config": row.config if row else config,
        "retraction": record.retraction,
        "not_ranked": "" if row or record.retraction else shortened(reason, LONGEST_VALUE),
        "doubts": [str(doubt) for doubt in doubts(record)],
        "notices": [notice.text for notice in record.notices],
        "headline": _headline(board, row) if row else None,
        "standing": _standing(board, row) if row else "",
        "ties": [{"href": f"{o.record.run_id}.html", "name": o.name} for o in ties[:TIES_SHOWN]],
        "more_ties": max(0, len(ties) - TIES_SHOWN),
        "siblings": [
            {"href": f"{other.record.run_id}.html", "seed": other.record.seed}
            for other in (row.runs if row else ())
            if other.record.seed != record.seed
        ],
        "reference": record.model.reference,
        "reference_link": _link(record.model.reference),
        "error": _error(record),
        "metrics": [_metric(name, record.metrics[name]) for name in _primary_first(record)],
        "breakdowns": [_breakdown(one) for one in record.breakdowns],
        "pictures": pictures,
        "selection": _selection(record),
        "layers": _layers(record),
        "stages": [_stage(name, record.latency[name]) for name in STAGES if name in record.latency],
        "time_note": next((latency.reason for latency in record.latency.values() if latency.reason), ""),
        "groups": [group for group in _groups(record) if group["pairs"]],
        "checks": [_check(name, check.passed, check.detail) for name, check in sorted(record.checks.items())],
        "recompute": f"mlcvbench rescore runs/{record.run_id}",
        "artifacts": sorted(record.artifacts.items()),
    }


def _headline(board: Board, row: BoardRow) -> dict[str, Any]:
    cell, unit = row.metrics[board.primary], board.metrics[board.primary].unit
    fast = row.costs["p50"].value
    return {
        "title": metric_title(board.primary, unit),
        "shown": score(cell.value or 0.0, unit),
        "spread": spread(cell, unit),
        "seeds": len(row.runs) if len(row.runs) > 1 else 0,
        "rank": "" if row.rank_low is None else rank_text(row),
        "of": len(board.rows),
        "p50": "" if fast is None else cost("p50", fast),
        "p50_spread": spread(row.costs["p50"], "s"),
    }


def _standing(board: Board, row: BoardRow) -> str:
    if row.rank_low is None or row.rank_high is None:
        return "Without replicates it is unknown which rows it beats."
    beaten_by, beats = row.rank_low - 1, len(board.rows) - row.rank_high
    return f"{_rows(beaten_by)} surely beat{'s' if beaten_by < 2 else ''} it; it surely beats {_rows(beats).lower()}."


def _rows(count: int) -> str:
    return "No row" if not count else f"{count} row{'s' if count > 1 else ''}"


def _link(reference: str) -> str:
    """Return the reference when it is a plain web address, else an empty text."""
    plain = reference.startswith(("https://", "http://")) and not any(c in reference for c in " \"'<>`\\")
    return reference if plain and reference.isprintable() else ""


def _error(record: Record) -> dict[str, str] | None:
    error = record.error
    if error is None:
        return None
    return {
        "type": error.type,
        "stage": error.stage,
        "message": shortened(error.message, LONGEST_VALUE),
        "traceback": shortened(error.traceback or "", LONGEST_TRACEBACK),
    }


def _selection(record: Record) -> dict[str, Any] | None:
    selection = record.selection
    if selection is None:
        return None
    tried = "Every combination" if selection.method == "grid" else "Candidates drawn at random"
    better = "higher" if selection.higher_is_better else "lower"
    return {
        "title": metric_title(selection.metric, selection.unit),
        "sentence": f"{tried}, compared by {selection.metric} ({better} is better) on {selection.n:,} samples: "
        f"{selection.split}. "
        f"The winner was {'fitted again as a run without a search is' if selection.refit else 'not fitted again'}.",
        "note": selection.note,
        "trials": [
            {
                "settings": shortened(settings_text(trial.settings), LONGEST_VALUE),
                "shown": score(trial.value, selection.unit) if trial.value is not None else DASH,
                "seconds": DASH if trial.seconds is None else significant(trial.seconds),
                "outcome": "winner" if number == selection.winner else shortened(trial.message, LONGEST_VALUE),
            }
            for number, trial in enumerate(selection.trials)
        ],
    }


def _primary_first(record: Record) -> list[str]:
    return sorted(record.metrics, key=lambda name: (name != record.primary_metric, name))


def _metric(name: str, metric: Any) -> dict[str, str]:
    unit = metric.unit
    known = metric.low is not None and metric.high is not None
    return {
        "title": metric_title(name, unit),
        "shown": score(metric.value, unit) if metric.value is not None else f"{DASH} {metric.reason or ''}".strip(),
        "interval": f"{score(metric.low, unit)} to {score(metric.high, unit)}" if known else DASH,
        "better": "higher" if metric.higher_is_better else "lower",
        "provenance": metric.provenance,
    }


def _breakdown(one: BreakdownInfo) -> dict[str, Any]:
    """Return a table of numbers; a long one is folded."""
    columns = [
        [DASH if value is None else _number(value, column.unit) for value in column.values] for column in one.columns
    ]
    return {
        "title": one.title,
        "note": one.note,
        "of": one.of,
        "columns": [
            metric_title(shortened(column.name), "ms" if column.unit == "s" else column.unit) for column in one.columns
        ],
        "rows": [
            {"name": shortened(name), "cells": [column[line] for column in columns]}
            for line, name in enumerate(one.names)
        ],
        "folded": len(one.names) > MOST_LINES,
    }


def _number(value: float, unit: str) -> str:
    if unit == "s":
        return significant(value * 1e3)
    whole = unit == "1" and value == int(value)
    return f"{int(value):,}" if whole else score(value, unit)


def _stage(name: str, latency: LatencyInfo) -> dict[str, Any]:
    def ms(value: float | None) -> str:
        return DASH if value is None else significant(value * 1e3)

    interval = DASH if latency.low is None or latency.high is None else f"{ms(latency.low)} to {ms(latency.high)}"
    cells = [ms(latency.p50), interval, ms(latency.p90), ms(latency.p99), ms(latency.min)]
    return {"name": name.replace("_", " "), "cells": [*cells, str(latency.n), str(latency.processes)]}


def _layers(record: Record) -> dict[str, Any] | None:
    """Return the network's layers with their totals, None for a method that is not a network."""
    layers = record.layers
    if layers is None or not layers.name:
        return None
    parts = layers.parts or (1,) * len(layers.name)
    kinds = [kind or f"{count} layers" * (count > 1) for kind, count in zip(layers.type, parts, strict=True)]
    numbers = [(f"{params:,}", f"{macs:,}") for params, macs in zip(layers.params, layers.macs, strict=True)]
    looks = zip(layers.name, kinds, layers.kernel, layers.stride, layers.output, numbers, strict=True)
    return {
        "rows": [
            {"name": name, "type": kind, "cells": [kernel, stride, output, *pair]}
            for name, kind, kernel, stride, output, pair in looks
        ],
        "count": sum(count for count, kind in zip(parts, layers.type, strict=True) if kind != "Input"),
        "params": f"{sum(layers.params):,}",
        "macs": f"{sum(layers.macs):,}",
    }


def _check(name: str, passed: bool | None, detail: str) -> dict[str, str]:
    verdict = {True: "passed", False: "failed", None: "not made"}[passed]
    return {"name": name.replace("_", " "), "verdict": verdict, "css": verdict.split()[0], "detail": shortened(detail)}


def _groups(record: Record) -> list[dict[str, Any]]:
    operations, memory, fit = record.operations, record.memory, record.fit
    environment, model = record.environment, record.model
    parameters = record.parameters
    peak = Cell(memory.host_peak if memory.device_peak_allocated is None else memory.device_peak_allocated)
    return [
        _group(
            "Cost",
            {
                "MACs": _maybe(operations.macs, count) or operations.reason,
                "FLOPs": _maybe(operations.flops, count),
                "counted by": _joined(operations.method, operations.tool),
                "not counted": uncounted_text(operations) if operations.uncounted else None,
                "layers": record.layers.reason if record.layers else None,
                "parameters": _maybe(parameters.trainable + parameters.frozen, count) if parameters else None,
                "fitted size": _maybe(parameters.bytes, _megabytes) if parameters else None,
                "peak memory": _maybe(peak.value, _megabytes) or memory.reason,
                "images/s": _maybe(record.throughput.images_per_s, significant) or record.throughput.reason,
                "at batch": record.throughput.batch,
            },
        ),
        _group(
            "Fit",
            {
                "seconds": _maybe(fit.seconds, significant),
                "weights from the cache": "yes" if fit.cached else None,
                "epochs": fit.epochs,
                "training samples": fit.train_samples,
                "validation samples": fit.val_samples,
                "peak memory": _maybe(fit.peak_memory, _megabytes),
            },
        ),
        _group("Settings", settings_of(record)),
        _group(
            "Data",
            {
                "data set": _joined(record.dataset.name, record.dataset.version) if record.dataset else None,
                "split": record.dataset.split if record.dataset else None,
                "samples": record.dataset.n if record.dataset else None,
                "fingerprint": record.dataset.fingerprint[:16] if record.dataset else None,
                "licence": record.dataset.licence if record.dataset else None,
                "protocol": record.task.protocol_id,
                "predictions": record.predictions,
            },
        ),
        _group(
            "Machine",
            {
                "hardware": hardware_label(environment),
                "cores": environment.cores,
                "memory": _maybe(environment.memory_bytes, _megabytes),
                "system": environment.os,
                "Python": environment.python,
                **environment.packages,
                "environment class": record.env_class,
            },
        ),
        _group(
            "Provenance",
            {
                "plugin": _joined(model.plugin, model.plugin_version),
                "source": model.source_hash[:16] if model.source_hash else None,
                "weights": _joined(model.weights.source, model.weights.sha256 and model.weights.sha256[:16]),
                "trained on": ", ".join(model.weights.trained_on),
                "predictions": record.predictions_sha256 and record.predictions_sha256[:16],
                "run key": record.run_key[:16],
                "mlcvbench": record.mlcvbench_version,
                "made": record.created_utc,
                "trust": record.trust,
            },
        ),
    ]


def _group(title: str, pairs: Mapping[str, Any]) -> dict[str, Any]:
    shown = [(name, shortened(str(value), LONGEST_VALUE)) for name, value in pairs.items() if value not in (None, "")]
    return {"title": title, "pairs": shown}


def _maybe(value: float | None, show: Any) -> str | None:
    return None if value is None else str(show(value))


def _megabytes(value: float) -> str:
    return f"{significant(value / 1e6)} MB"


def _joined(*parts: str | None) -> str | None:
    return " ".join(part for part in parts if part) or None
