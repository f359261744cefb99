"""The model of a stored run, rebuilt: its data loaded again, its fitted weights from the cache or a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlcvbench.analysis.rescoring import config_of
from mlcvbench.contract import LoadedData, Model, Split
from mlcvbench.errors import RecordError, RequestError
from mlcvbench.loading.data import load_data
from mlcvbench.loading.models import build_model
from mlcvbench.loading.resolved import resolve
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.entries import entries_of
from mlcvbench.plan.given_weights import STATE_FOLDER, find_fitted, given_weights
from mlcvbench.plan.named_files import with_files
from mlcvbench.records.schema import Record
from mlcvbench.storage.digests import content_hash


@dataclass(frozen=True, slots=True)
class Subject:
    """A run's model with its weights, on the CPU, and the data it was tested on."""

    record: Record
    data: LoadedData
    model: Model

    @property
    def test(self) -> Split:
        """The samples of the run."""
        return self.data.splits["test"]


def open_subject(
    record: Record, paths: Mapping[str, Any], files: Mapping[str, str] | None = None, weights: Path | None = None
) -> Subject:
    """Rebuild the model of a run.

    `paths`: `data.*` paths, which a record does not hold; `files`: `model.*` paths likewise, under their whole keys;
    `weights`: its weights file.

    RequestError when the run's model is not installed, its task is not image classification, or its weights are gone;
    RecordError when data or weights are not those of the record.
    """
    config = config_of(record, paths)
    _refuse(record, config)
    config = with_files(config, files or {}, record.run_id)
    resolved = resolve(replace(config, device="cpu", precision="float32"))
    data = load_data(resolved)
    if record.dataset is None or data.splits["test"].fingerprint() != record.dataset.fingerprint:
        raise RecordError(f"record {record.run_id!r} was made on other data than {data.name!r} is here.")
    if not data.problem.classes or "image" not in data.problem.inputs:
        raise RequestError(
            f"run {record.run_id!r} ({config.definition.kind}) has no image classes, so there is nothing to explain."
        )
    state = weights or _cached(record)
    if record.model.weights.sha256 not in {None, content_hash(given_weights(state).state)}:
        raise RecordError(f"{state.name}: these are not the weights of run {record.run_id!r} (their sha256 differs).")
    return Subject(record, data, build_model(resolved, data.problem, given_weights(state)))


def _refuse(record: Record, config: RunConfig) -> None:
    if record.status != "ok":
        raise RecordError(f"record {record.run_id!r} has status {record.status!r}, so there is nothing to explain.")
    if entries_of(config).provided is None:
        raise RequestError(
            f"run {record.run_id!r}: no plugin has its model {config.model!r}, so there is nothing to explain."
        )


def _cached(record: Record) -> Path:
    """Return the folder of the fitted state; RequestError says how to get it again.

    It is found by its content: its key also covers the code, which may have changed since.
    """
    source, digest = record.model.weights.source, record.model.weights.sha256
    if source in {"file", "run"}:
        raise RequestError(f"run {record.run_id!r} was made with weights from a {source}; give weights=PATH.")
    found = find_fitted(digest or "")
    if found is not None:
        return found / STATE_FOLDER
    raise RequestError(
        f"the fitted weights of run {record.run_id!r} are not in the cache; fit them again with "
        f"`{record.command} out=refit` and explain that run, or give weights=PATH."
    )
