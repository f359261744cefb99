"""Recompute a record's metrics from its stored predictions, bit for bit, or with another engine.

Used by `rescore` and board checks.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import Array, Predictions, Scorer, Split
from mlcvbench.errors import RecordError, RequestError, UnknownNameError
from mlcvbench.loading.data import load_data
from mlcvbench.loading.resolved import resolve
from mlcvbench.plan.config import TEST_ALONE, RunConfig
from mlcvbench.plan.entries import entries_of
from mlcvbench.records.schema import Record
from mlcvbench.running import scoring
from mlcvbench.stats import bootstrap
from mlcvbench.stats.intervals import METHOD


@dataclass(frozen=True, slots=True)
class Difference:
    """One deviation from the record. `wanted` is recorded, `got` recomputed."""

    check: str
    file: str
    wanted: str
    got: str

    def __str__(self) -> str:
        return f"{self.check}: {self.file}: wanted {self.wanted}, got {self.got}"


@dataclass(frozen=True, slots=True)
class Recomputed:
    """Metric values and replicates from the stored predictions, and where they differ from the record."""

    values: dict[str, float | None]
    replicates: Mapping[str, Array]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class EngineValue:
    """One metric as recorded and as computed by another engine; None where undefined."""

    name: str
    recorded: float | None
    engine: float | None

    @property
    def difference(self) -> float | None:
        """Engine minus record: 0 when both are equal or undefined, None when only one is undefined."""
        if self.recorded is None or self.engine is None:
            return 0.0 if self.recorded is self.engine else None
        return self.engine - self.recorded


def config_of(record: Record, data: Mapping[str, Any] | None = None) -> RunConfig:
    """Return the configuration of a record; paths, which it does not hold, come from `data`.

    `data`: by name, for any data set, or as DATASET.NAME for one. For a run with a search it is the winning plain run.
    RequestError names a missing path.
    """
    config = RunConfig.from_dict(record.config)
    if record.selection is not None:
        config = replace(config, model_params=dict(record.model.params), fit=dict(record.selection.fit), search=None)
    params = _params(config, data)
    unknown = _unknown_path(config, params)
    if unknown is not None:
        raise RequestError(f"record {record.run_id!r} does not say where its data are; give data.{unknown}=DIR.")
    return replace(config, data_params=params)


def unknown_path(record: Record, data: Mapping[str, Any] | None = None) -> str | None:
    """Return the name of a path of a record's data that neither it nor `data` gives, None when all are known."""
    config = RunConfig.from_dict(record.config)
    return _unknown_path(config, _params(config, data))


def _params(config: RunConfig, data: Mapping[str, Any] | None) -> dict[str, Any]:
    own = f"{config.definition.dataset}."
    given = {name: value for name, value in (data or {}).items() if "." not in name}
    given |= {name.removeprefix(own): value for name, value in (data or {}).items() if name.startswith(own)}
    return {**config.data_params, **given}


def _unknown_path(config: RunConfig, params: Mapping[str, Any]) -> str | None:
    said = {*config.given, *(f"data.{name}" for name in config.definition.data)}
    places = sorted(entries_of(config).places)
    names = (name for name in places if params.get(name) is None and f"data.{name}" in said)
    return next(names, None)


def recompute(
    record: Record, folder: Path, data: Mapping[str, Any] | None = None, archive: Path | None = None
) -> Recomputed:
    """Score the predictions stored in `folder` (or in `archive`) again and compare everything with the record.

    RecordError when the record has no predictions or was made on other data.
    """
    stored = _open_stored(record, folder, data, archive)
    scored = scoring.score(stored.scorer, stored.predictions, stored.test, with_rows=bool(record.intervals))
    if record.intervals:
        scored = scoring.with_replicates(scored, stored.test)
    differences = [*_file_differences(record, stored.path), *_metric_differences(record, scored.metrics())]
    differences += _group_differences(record, scored.groups)
    differences += _replicate_differences(folder / bootstrap.REPLICATES_FILE, scored.replicates)
    return Recomputed(scored.values, scored.replicates, tuple(differences))


def values_by_engine(
    record: Record, folder: Path, engine: str, data: Mapping[str, Any] | None = None
) -> tuple[EngineValue, ...]:
    """Score the stored predictions with another implementation and return each metric beside the record's.

    UnknownNameError for an engine the protocol does not have, RequestError when it has none.
    """
    stored = _open_stored(record, folder, data)
    if not stored.scorer.engines:
        raise RequestError(f"protocol {stored.scorer.protocol_id!r} is scored by one engine only; leave out engine=.")
    if engine not in stored.scorer.engines:
        raise UnknownNameError("engine", engine, stored.scorer.engines)
    found = stored.scorer.by_engine(engine, stored.predictions, stored.test.targets())
    return tuple(EngineValue(name, metric.value, found.get(name)) for name, metric in record.metrics.items())


@dataclass(frozen=True, slots=True)
class _Stored:
    """The sources of a record's scores: the predictions in the file `path`, the data, and the scorer."""

    scorer: Scorer
    test: Split
    path: Path
    predictions: Predictions


def _open_stored(record: Record, folder: Path, data: Mapping[str, Any] | None, archive: Path | None = None) -> _Stored:
    config = config_of(record, data)
    if record.status != "ok" or record.dataset is None:
        raise RecordError(f"record {record.run_id!r} has status {record.status!r}, so it has no metrics to recompute.")
    resolved = resolve(config)
    loaded = load_data(resolved, TEST_ALONE)
    test = loaded.splits["test"]
    if test.fingerprint() != record.dataset.fingerprint:
        raise RecordError(
            f"record {record.run_id!r} was scored on data with fingerprint {record.dataset.fingerprint[:12]}, "
            f"but {loaded.name!r} has {test.fingerprint()[:12]} here."
        )
    task = resolved.task
    scorer = task.scorer(config.definition.protocol, loaded.problem)
    path = predictions_file(record, folder, archive)
    return _Stored(scorer, test, path, task.load(path, test.ids, loaded.problem))


def predictions_file(record: Record, folder: Path, archive: Path | None = None) -> Path:
    """Return the stored predictions, beside the record or as `archive`/sha256/name; RecordError when there are none."""
    for name in sorted(name for name in record.artifacts if name.startswith("predictions.")):
        places = [folder / name] if archive is None else [folder / name, archive / record.artifacts[name] / name]
        for path in places:
            if path.is_file():
                return path
    raise RecordError(f"record {record.run_id!r}: its predictions are not beside it.")


def _file_differences(record: Record, path: Path) -> list[Difference]:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    wanted = record.artifacts[path.name]
    return [] if digest == wanted else [Difference("sha256", path.name, wanted[:12], digest[:12])]


def _metric_differences(record: Record, metrics: Mapping[str, Any]) -> list[Difference]:
    """Compare values bit for bit and interval ends up to rounding; skip ends of another method, which no board
    shows.
    """
    known = not record.intervals or record.intervals.get("method") == METHOD
    found = []
    for name in sorted(set(metrics) | set(record.metrics)):
        for part in ("value", "low", "high") if known else ("value",):
            wanted = getattr(record.metrics.get(name), part, None)
            got = getattr(metrics.get(name), part, None)
            if wanted != got and (part == "value" or not _close(wanted, got)):
                label = name if part == "value" else f"{name}.{part}"
                found.append(Difference("metric", label, repr(wanted), repr(got)))
    return found


def _close(wanted: float | None, got: float | None) -> bool:
    """Return whether two interval ends are equal up to the last digits, which depend on a machine's exp and log."""
    return wanted is not None and got is not None and math.isclose(wanted, got, rel_tol=1e-9, abs_tol=1e-12)


def _group_differences(record: Record, groups: int) -> list[Difference]:
    if not record.intervals:
        return []
    bundles = bootstrap.bundles(groups)
    made = {"groups": record.intervals.get("groups", groups), "bundles": record.intervals.get("bundles")}
    return [
        Difference("intervals", name, repr(made[name]), repr(got))
        for name, got in (("groups", groups), ("bundles", bundles))
        if made[name] != got
    ]


def _replicate_differences(path: Path, replicates: Mapping[str, Array]) -> list[Difference]:
    if not replicates or not path.is_file():
        return []
    stored = bootstrap.load_replicates(path)
    return [
        Difference("replicates", f"{path.name}:{name}", "equal arrays", "different ones")
        for name, values in replicates.items()
        if name not in stored or not np.array_equal(stored[name], values, equal_nan=True)
    ]
