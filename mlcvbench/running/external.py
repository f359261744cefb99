"""Score predictions made elsewhere: a full record without costs, from a user's file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mlcvbench.contract import External, Notice, Scorer, Task
from mlcvbench.contract.scoring import iter_names
from mlcvbench.errors import DataError, PredictionError
from mlcvbench.files.ahead import readers
from mlcvbench.files.lazy_columns import keeping
from mlcvbench.loading.prepared import prepare
from mlcvbench.plan.command import score_command_of
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.entries import entries_of
from mlcvbench.processes.progress import Progress
from mlcvbench.records.schema import PREDICTIONS, MemoryInfo, ModelInfo, OperationsInfo, Record
from mlcvbench.records.store import Store
from mlcvbench.running import stages
from mlcvbench.running.record_draft import Draft
from mlcvbench.running.results import Costs, Subject
from mlcvbench.storage.digests import size_of, state_of
from mlcvbench.storage.durable import sha256_of

LARGER = 1.05
"""How many times as large as what was handed in a record's predictions may be before they are compressed."""
NOT_MEASURED = "only predictions are known"


def score_file(
    config: RunConfig, name: str, path: Path, folder: Path, title: str = "", progress: Progress | None = None
) -> Record:
    """Score the predictions in `path` as model `name`, write the artifacts into `folder` and return the record.

    The predictions are part of its key. DataError names the file and its fault; then nothing is scored.
    """
    config = replace(config, model=name, model_params={}, fit={}, time="off", threads=1)  # threads decide nothing
    summary = f"predictions read from {path.name}"
    info = ModelInfo(name=name, title=title, plugin=PREDICTIONS, plugin_version="", summary=summary)
    entries = entries_of(config)
    command = score_command_of(config, path.name, title, entries)
    draft = Draft(Subject(config, entries, model=info, command=command), progress)
    draft.results.costs = Costs(OperationsInfo(reason=NOT_MEASURED), memory=MemoryInfo(reason=NOT_MEASURED))
    before = state_of(path)
    with readers(config.load_threads), keeping():
        with draft.stage("resolve"):
            answered = _read(draft, path, folder)
        try:
            stages.finish(draft, folder, answered)
        except PredictionError as error:  # the fault of a file, not of a model
            raise DataError(str(error)) from None
    if state_of(path) != before:
        raise DataError(f"predictions={path}: changed while they were being scored; score them again.")
    return draft.record()


def _read(draft: Draft, path: Path, folder: Path) -> stages.Answered:
    """Read predictions, choose the protocol that scores them, and write them into `folder` like those of a run."""
    config = draft.subject.config
    prepared = prepare(config, draft.subject.entries, fits=False, shown=False)
    task = prepared.resolved.task
    external: External = task.read_external(path, prepared.test, prepared.data.problem, config.reading)
    wanted, protocol = config.definition.protocol, task.scored_as(external.predictions, config.definition.protocol)
    config = replace(config, definition=replace(config.definition, protocol=protocol))
    prepared = replace(prepared, scorer=task.scorer(protocol, prepared.data.problem))
    draft.subject = replace(draft.subject, config=config)
    draft.begin(prepared)
    draft.results.predictions = external.source
    draft.notice(external.notices)
    if protocol != wanted:
        draft.notice([_another_protocol(config, wanted, prepared.scorer)])
    saved = task.save(external.predictions, prepared.test.ids, folder)
    draft.known_by(predictions=sha256_of(kept_small(task, saved, path)))
    return stages.Answered(prepared, external.predictions)


def kept_small(task: Task, saved: Path, given: Path) -> Path:
    """Return the stored predictions, at most `LARGER` times as large as those that were handed in, as far as that
    goes.
    """
    most = int(LARGER * size_of(given))
    return task.shrink(saved, most) if saved.stat().st_size > most else saved


def _another_protocol(config: RunConfig, wanted: str, scorer: Scorer) -> Notice:
    """Return the notice that another protocol than the benchmark's scores the predictions, and which metrics it
    lacks.
    """
    known = iter_names(scorer.metrics)
    lost = [name for name in config.definition.metrics if name not in known]
    without = f", which gives no {' and no '.join(lost)}" if lost else ""
    text = f"the definition asks for {wanted}; these predictions are scored as {scorer.protocol_id}{without}."
    return Notice("another-protocol", text)


def already_stored(record: Record, store: Store) -> str:
    """Return one line saying that the predictions are already stored as `record`, and what has replaced them since."""
    from mlcvbench.plan.same_request import newest_of

    said = f"already stored: the same predictions were submitted on {record.created_utc[:10]} as {record.run_id}."
    if record.retraction is not None:
        return f"{said} It was retracted on {record.retraction.date}: {record.retraction.reason}"
    newest = newest_of(record, [other for other, _ in store.records()[0]])
    if newest.run_id == record.run_id:
        return said
    return f"{said} {newest.run_id} was submitted later and is on the board; to rank both, give as= another name."
