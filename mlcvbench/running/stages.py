"""One run as a straight line: resolve, fit, predict, score, replicates, operations, memory, latency, plots, record.

A run that chooses its settings does so between resolve and fit.

Each stage is one function; accuracy, operations, memory and latency are separate passes. A failing stage ends the run
with a record that names it, but for the cost passes, which cost themselves; nothing here raises but an interrupt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlcvbench.contract import Array, LoadedData, Model, Notice, Predictions, Scorer, Task
from mlcvbench.files.images import turned_images
from mlcvbench.loading.data import batch_size, load_data, refuse_ragged
from mlcvbench.loading.resolved import resolve
from mlcvbench.loading.tasks import scorer_of
from mlcvbench.plan.config import RunConfig
from mlcvbench.records.schema import ModelInfo, Record
from mlcvbench.running import history_plot, latency_plot, pictures, scoring
from mlcvbench.running.costs import Measured, measure_costs
from mlcvbench.running.fitting import Progress, obtain_model
from mlcvbench.running.predicting import predict, silent
from mlcvbench.running.record_draft import Draft

if TYPE_CHECKING:
    from mlcvbench.running.trials import Watch


@dataclass(frozen=True, slots=True)
class Live:
    """A model that exists already, how a record describes it, and the sha256 of its weights where it has any.

    `notices`: what had to be assumed of its answers, known once it has predicted. `call`: how it was asked. `settle`:
    returns all its answers, with their ids, as they are read once all are known.
    """

    model: Model
    info: ModelInfo
    weights: str | None = None
    notices: Iterable[Notice] = ()
    call: str = ""
    settle: Callable[[Predictions, Array], Predictions] | None = None


def execute(
    config: RunConfig,
    folder: Path,
    *,
    progress: Progress = silent,
    watch: Watch | None = None,
    keep: Callable[[Record], None] | None = None,
) -> Record:
    """Carry out one run, write its artifacts into the empty `folder` and return its record.

    `watch`: what is known of the candidates of its search, and who is told about them. `keep`: see `Draft`.
    """
    draft = Draft(config, progress, keep=keep)
    try:
        _run(config, folder, draft, watch=watch)
    except MemoryError as error:
        draft.fail("oom", error)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything; the record keeps it
        draft.fail("error", error)
    return draft.record()


def evaluate_live(config: RunConfig, folder: Path, live: Live) -> Record:
    """Carry out one run of a live model in this process; what goes wrong is raised.

    Its key holds what it is known by: weights, predictions, and what was measured of it.
    """
    draft = Draft(config, silent, isolated=False, outsider=live.info)
    draft.command = live.call
    _run(config, folder, draft, live)
    draft.measured()
    return draft.record()


def _run(config: RunConfig, folder: Path, draft: Draft, live: Live | None = None, watch: Watch | None = None) -> None:
    with draft.stage("resolve"):
        resolved = resolve(config, draft.entries)
        task, data, definition = resolved.task, load_data(resolved), config.definition
        test = data.splits["test"]
        if live is None and config.weights is None:
            refuse_ragged(data, resolved.spec)
        scorer = scorer_of(task, definition.protocol, definition.metrics, data)
        draft.resolved(resolved, data, scorer)
    if config.search is not None:
        from mlcvbench.running import selection

        with draft.stage("select"):
            selected = selection.select(resolved, data, scorer, draft.report, watch)
            draft.selected(selected.resolved.config, selected.info)
        resolved, data = selected.resolved, selected.data
        config = resolved.config
    with draft.stage("fit"):
        fitted = obtain_model(resolved, data, draft.report, live.model if live is not None else None)
        draft.fitted(fitted)
    size = batch_size(config, test, takes_lists=fitted.ragged)
    with draft.stage("predict"), turned_images() as turned:
        predictions = predict(fitted.model, test, task, data.problem, size, shards=config.shards, progress=draft.report)
        draft.refuse_changed()
        if live is not None and live.settle is not None:
            predictions = live.settle(predictions, test.ids)
        path = task.save(predictions, test.ids, folder)
        if live is not None:
            draft.predicted(path, live.weights)
            draft.notice(live.notices)
        draft.parts["predictions"] = task.contents(predictions)
        draft.notice(task.misreadings(predictions, config.reading))
        draft.notice(_turned(len(turned)))
    scored = score_stages(config, folder, draft, Answered(task, data, scorer, predictions))
    draft.keep()
    samples = measure_costs(config, folder, draft, Measured(fitted, task, data.problem, test, predictions, size))
    pictures.draw(
        draft,
        folder,
        lambda plots: pictures.of_task(task, plots, predictions, scored, test, data.problem),
        lambda plots: history_plot.draw(plots, fitted.info.history),
        lambda plots: latency_plot.draw(plots, samples),
    )
    draft.refuse_changed()


def _turned(count: int) -> list[Notice]:
    """Say that test images were shown to the model otherwise than they are stored."""
    if not count:
        return []
    text = f"{count} test images were turned as their EXIF orientation says; what is known of them must fit that."
    return [Notice("images-turned", text, count)]


@dataclass(frozen=True, slots=True)
class Answered:
    """Predictions for the test split of some data, and how they are scored."""

    task: Task
    data: LoadedData
    scorer: Scorer
    predictions: Predictions


def score_stages(config: RunConfig, folder: Path, draft: Draft, answered: Answered) -> scoring.Scored:
    """Score predictions, say what is odd about them, draw the replicates and write all of it into `folder`."""
    scorer, test = answered.scorer, answered.data.splits["test"]
    with draft.stage("score"):
        scored = scoring.score(scorer, answered.predictions, test, shards=config.shards, with_rows=config.intervals)
        draft.parts["metrics"] = scored.metrics()
        if scored.table is not None:
            draft.notice(scorer.notices(scored.table))
        draft.notice(answered.task.notices(answered.predictions, test, answered.data.problem, scorer.protocol_id))
    if config.intervals:
        with draft.stage("replicates"):
            scored = scoring.with_replicates(scored, test)
            draft.parts |= {"metrics": scored.metrics(), "intervals": scoring.interval_info(scored)}
    scoring.write_scored(scored, folder)
    return scored
