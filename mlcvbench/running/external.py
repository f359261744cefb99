"""Score predictions made elsewhere: a full record without costs, from anybody's file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mlcvbench.contract import External, Notice, Scorer
from mlcvbench.contract.scoring import iter_names
from mlcvbench.errors import DataError, PredictionError
from mlcvbench.loading.data import load_data
from mlcvbench.loading.resolved import resolve
from mlcvbench.loading.tasks import scorer_of
from mlcvbench.plan.command import score_command_of
from mlcvbench.plan.config import RunConfig
from mlcvbench.records.schema import PREDICTIONS, FitInfo, MemoryInfo, ModelInfo, OperationsInfo, Record
from mlcvbench.records.store import Store
from mlcvbench.running import pictures, predicting, stages
from mlcvbench.running.record_draft import Draft

NOT_MEASURED = "only predictions are known"


def score_file(config: RunConfig, name: str, path: Path, folder: Path, title: str = "") -> Record:
    """Score the predictions in `path` as model `name`, write the artifacts into `folder` and return the record.

    What was predicted belongs to its key. DataError names the file and what is wrong with it; nothing is scored then.
    """
    config = replace(config, model=name, model_params={}, fit={}, time="off", threads=1)  # threads decide nothing here
    summary = f"predictions read from {path.name}"
    info = ModelInfo(name=name, title=title, plugin=PREDICTIONS, plugin_version="", summary=summary)
    draft = Draft(config, predicting.silent, outsider=info)
    draft.command = score_command_of(config, path.name, title, draft.entries)
    with draft.stage("resolve"):
        resolved = resolve(config, draft.entries)
        task, data = resolved.task, load_data(resolved)
        test = data.splits["test"]
        scorer_of(task, config.definition.protocol, config.definition.metrics, data)
        external: External = task.read_external(path, test, data.problem, config.reading)
        wanted = config.definition.protocol
        protocol = task.scored_as(external.predictions, wanted)
        config = draft.config = replace(config, definition=replace(config.definition, protocol=protocol))
        scorer = task.scorer(protocol, data.problem)
        draft.resolved(resolved, data, scorer)
        draft.parts["predictions"] = external.source
        draft.notice(external.notices)
        if protocol != wanted:
            draft.notice([_another_protocol(config, wanted, scorer)])
        draft.predicted(task.save(external.predictions, test.ids, folder))
    try:
        scored = stages.score_stages(config, folder, draft, stages.Answered(task, data, scorer, external.predictions))
    except PredictionError as error:  # of a file that somebody wrote, not of a model that failed
        raise DataError(str(error)) from None
    pictures.draw(
        draft,
        folder,
        lambda plots: pictures.of_task(task, plots, external.predictions, scored, test, data.problem),
    )
    draft.parts |= {
        "operations": OperationsInfo(reason=NOT_MEASURED),
        "memory": MemoryInfo(reason=NOT_MEASURED),
        "fit": FitInfo(),
        "env_class": "",
    }
    return draft.record()


def _another_protocol(config: RunConfig, wanted: str, scorer: Scorer) -> Notice:
    """Say that other rules than the benchmark's score predictions, and which of its metrics these do not give."""
    known = iter_names(scorer.metrics)
    lost = [name for name in config.definition.metrics if name not in known]
    without = f", which gives no {' and no '.join(lost)}" if lost else ""
    text = f"the definition asks for {wanted}; these predictions are scored as {scorer.protocol_id}{without}."
    return Notice("another-protocol", text)


def already_stored(record: Record, store: Store) -> str:
    """Return one line that says that predictions are there already as `record`, and what has replaced them since."""
    from mlcvbench.plan.same_request import newest_of

    said = f"already stored: the same predictions were handed in on {record.created_utc[:10]} as {record.run_id}."
    if record.retraction is not None:
        return f"{said} It was retracted on {record.retraction.date}: {record.retraction.reason}"
    newest = newest_of(record, [other for other, _ in store.records()[0]])
    if newest.run_id == record.run_id:
        return said
    return f"{said} {newest.run_id} was handed in later and stands on the board; to rank both, give as= another name."
