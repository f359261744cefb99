"""One run as a straight line: resolve, fit, predict, score, replicates, operations, memory, latency,
breakdowns, plots, record.

A run that chooses its settings does so between resolve and fit.

Each stage is one function; accuracy, operations, memory and latency are separate passes. A failing stage ends the run
with a record that names it, except for a cost pass, which fails alone. Only an interrupt is raised from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlcvbench.contract import Array, Model, Notice, Outcome, Predictions
from mlcvbench.files.ahead import readers
from mlcvbench.files.images import turned_images
from mlcvbench.files.lazy_columns import keeping
from mlcvbench.loading.prepared import Prepared, prepare
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.entries import entries_of
from mlcvbench.processes.progress import Progress
from mlcvbench.records.schema import ModelInfo, Record
from mlcvbench.running import breakdowns, held_out, plots, scoring
from mlcvbench.running.costs import Measured, measure_costs, measured_digest
from mlcvbench.running.fitting import fit_result, obtain_model
from mlcvbench.running.predicting import predict
from mlcvbench.running.record_draft import Draft
from mlcvbench.running.results import Scores, Subject
from mlcvbench.storage.durable import sha256_of

if TYPE_CHECKING:
    from mlcvbench.running.trials import Watch


@dataclass(frozen=True, slots=True)
class Live:
    """A model object in this process, its description for the record, and the sha256 of its weights if it has any.

    `notices`: assumptions about its outputs, known once it has predicted. `call`: how it was invoked. `settle`: returns
    all its outputs, given their ids, as interpreted once all are known.
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
    progress: Progress | None = None,
    watch: Watch | None = None,
    keep: Callable[[Record], None] | None = None,
) -> Record:
    """Carry out one run, write its artifacts into the empty `folder` and return its record.

    `watch`: the known outcomes of its search's candidates, and the callback for new ones. `keep`: see `Draft`.
    """
    draft = Draft(Subject(config, entries_of(config)), progress, keep)
    try:
        with readers(config.load_threads, config.threads):
            _run(draft, folder, watch=watch)
    except MemoryError as error:
        draft.fail("oom", error)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything; the record keeps it
        draft.fail("error", error)
    return draft.record()


def evaluate_live(config: RunConfig, folder: Path, live: Live) -> Record:
    """Carry out one run of a live model in this process; errors are raised.

    Its key covers what identifies it: weights, predictions and measured costs.
    """
    subject = Subject(config, entries_of(config), isolated=False, model=live.info, command=live.call)
    draft = Draft(subject)
    with readers(config.load_threads, config.threads):
        _run(draft, folder, live)
    draft.known_by(measured=measured_digest(draft.results))
    return draft.record()


def _run(draft: Draft, folder: Path, live: Live | None = None, watch: Watch | None = None) -> None:
    results, config = draft.results, draft.subject.config
    with draft.stage("resolve"):
        fits = live is None and config.weights is None
        prepared = prepare(config, draft.subject.entries, fits=fits, shown=True)
        draft.begin(prepared)
    run, data, test = prepared.resolved, prepared.data, prepared.test
    task = run.task
    if config.search is not None:
        from mlcvbench.running import selection

        with draft.stage("select"):
            results.selected = selection.select(run, data, prepared.scorer, draft.report, watch)
        run, data = results.selected.resolved, results.selected.data
    with draft.stage("fit"):
        fitted = obtain_model(run, data, draft.report, live.model if live is not None else None)
        results.fit = fit_result(fitted)
        draft.notice(fitted.notices)
    size = test.batch_size(config.batch_size, takes_lists=fitted.ragged)
    with draft.stage("predict"), turned_images() as turned:
        predictions = predict(fitted.model, test, task, data.problem, size, shards=config.shards, progress=draft.report)
        draft.refuse_changed()
        if live is not None and live.settle is not None:
            predictions = live.settle(predictions, test.ids)
        path = task.save(predictions, test.ids, folder)
        if live is not None:
            weights = {"weights": live.weights} if live.weights is not None else {}
            draft.known_by(predictions=sha256_of(path), **weights)
            draft.notice(live.notices)
        results.predictions = task.contents(predictions)
        draft.notice(task.misreadings(predictions, config.reading))
        draft.notice(_turned(len(turned)))
    measured = Measured(fitted, task, data.problem, test, predictions, size)
    finish(draft, folder, Answered(prepared, predictions), measured)


def _turned(count: int) -> list[Notice]:
    """Return the notice that test images were rotated before the model saw them."""
    if not count:
        return []
    text = f"{count} test images were rotated by their EXIF orientation; their ground truth must fit that."
    return [Notice("images-turned", text, count)]


@dataclass(frozen=True, slots=True)
class Answered:
    """Predictions for the test split of some data, and how they are scored."""

    prepared: Prepared
    predictions: Predictions


@keeping()
def finish(draft: Draft, folder: Path, answered: Answered, measured: Measured | None = None) -> None:
    """Score predictions, draw the replicates, measure costs where there is a model, and write all with plots into
    `folder`.
    """
    scored, results = _score(draft, folder, answered), draft.results
    draft.keep()
    with readers(0):  # nothing else may use the cores while a model is timed
        for costs in measure_costs(draft, folder, measured) if measured is not None else ():
            results.costs = costs
            draft.keep()
    task = answered.prepared.resolved.task
    history = results.fit.info.history if results.fit else {}
    samples = results.costs.timing.samples if results.costs.timing else {}
    outcome = _outcome(answered, scored)
    if outcome is not None and task.chooses and measured is not None:
        with draft.stage("validation"):
            outcome = replace(outcome, held_out=held_out.rows(draft, measured, scored.scorer))
    model = None if measured is None else measured.fitted.model
    results.breakdowns = breakdowns.all_of(draft, task, outcome, model)
    results.plots = plots.draw(
        draft,
        folder,
        lambda place: plots.of_task(task, place, outcome),
        lambda place: plots.of_history(place, history),
        lambda place: plots.of_latency(place, samples),
    )
    draft.refuse_changed()


def _outcome(answered: Answered, scored: scoring.Scored) -> Outcome | None:
    """Return what breakdowns and pictures are made of; None without rows."""
    if scored.table is None:
        return None
    prepared, protocol = answered.prepared, scored.scorer.protocol_id
    return Outcome(answered.predictions, scored.targets, prepared.test, prepared.data.problem, protocol, scored.table)


def _score(draft: Draft, folder: Path, answered: Answered) -> scoring.Scored:
    """Score predictions, record notices about them, draw the replicates and write all of it into `folder`."""
    config, scorer, test = draft.subject.config, answered.prepared.scorer, answered.prepared.test
    with draft.stage("score"):
        scored = scoring.score(scorer, answered.predictions, test, shards=config.shards, with_rows=config.intervals)
        draft.results.scores = Scores(scored.metrics(), {})
        if scored.table is not None:
            draft.notice(scorer.notices(scored.table))
        task, problem = answered.prepared.resolved.task, answered.prepared.data.problem
        draft.notice(task.notices(answered.predictions, test, problem, scorer.protocol_id))
    if config.intervals:
        with draft.stage("replicates"):
            begun = draft.results.begun
            scored = scoring.with_replicates(scored, test, begun.dataset.fingerprint if begun else None)
            draft.results.scores = Scores(scored.metrics(), scoring.interval_info(scored))
    scoring.write_scored(scored, folder)
    return scored
