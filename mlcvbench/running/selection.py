"""Hyper-parameter search inside a run: fit every candidate, score each on the same samples, keep the best.

The test split is not used unless the request says `select_on=test`, and then the run is marked contaminated.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mlcvbench.contract import LoadedData, MetricSpec, Scorer, Split
from mlcvbench.errors import MlcvbenchError, said_by, scrub
from mlcvbench.loading.holdout import Validation, no_training, validation_of
from mlcvbench.loading.resolved import Resolved
from mlcvbench.plan.config import RunConfig, Search
from mlcvbench.plan.named_files import label_keyed, labelled
from mlcvbench.plan.search import Candidate, candidates, settled
from mlcvbench.processes.progress import NO_NUMBERS, Numbers, Progress
from mlcvbench.records.schema import SelectionInfo, TrialInfo
from mlcvbench.running import scoring
from mlcvbench.running.fitting import Fitted, obtain_model
from mlcvbench.running.predicting import predict
from mlcvbench.running.trials import Tried, Watch, journal_of
from mlcvbench.stats import intervals

OPTIMISTIC = "The winner's value is optimistic: the best of several looks better on the samples that chose it."
STEPS, FIT_STEPS = 100, 90
"""Steps of progress per candidate, and those of its fit."""


class SelectionError(MlcvbenchError):
    """No candidate of a search could be fitted and scored."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Selected:
    """The winning plain run and the data to fit it on; `info` is for the record."""

    resolved: Resolved
    data: LoadedData
    info: SelectionInfo


def select(
    resolved: Resolved, data: LoadedData, scorer: Scorer, report: Progress, watch: Watch | None = None
) -> Selected:
    """Try every candidate of the run's search and return the winner. SelectionError when every one fails.

    Fits are cached like those of any run, and the candidates' outcomes are kept until all are done, so that an
    interrupted search resumes. `watch` is notified which candidate is being tried.
    """
    config, spec = resolved.config, resolved.spec
    search, watch = _search_of(config), watch or Watch()
    metric = scorer.primary() if search.metric is None else scorer.metric(search.metric)
    validation = _validation(data, resolved, search)
    subjects = candidates(config, spec)
    began = time.perf_counter()
    tried: dict[int, Tried] = {}
    with journal_of(resolved, data.fingerprint(), watch) as journal:
        known = [journal.known(number, candidate.settings) for number, candidate in enumerate(subjects)]
        tried |= {number: outcome for number, outcome in enumerate(known) if outcome is not None}
        for number, candidate in enumerate(subjects):
            if number in tried:
                continue
            plain = replace(resolved, config=settled(config, candidate))
            view = data if search.on == "test" else validation.for_fit(plain.config, spec)
            progress = _part_of(report, number, len(subjects))
            watch.begin(number, len(subjects) - len(tried) + search.refit)
            tried[number] = _try(candidate, TrialSetup(plain, view, scorer, metric), validation.split, progress)
            journal.keep(number, tried[number])
            watch.begin(None, 0)
    trials = [tried[number].trial for number in range(len(subjects))]
    winner = best(trials, higher_is_better=metric.higher_is_better)
    if winner is None:
        raise SelectionError(f"all {len(trials)} candidates failed; the first: {trials[0].message}")
    chosen = settled(config, subjects[winner])
    info = SelectionInfo(
        method=search.method,
        metric=metric.name,
        unit=metric.unit,
        higher_is_better=metric.higher_is_better,
        split=validation.described,
        n=len(validation.split),
        fingerprint=validation.split.fingerprint(),
        train_samples=tried[winner].train_samples,
        trials=tuple(
            t.model_copy(update={"settings": label_keyed(config, resolved.entries, t.settings)}) for t in trials
        ),
        winner=winner,
        fit=labelled(chosen, resolved.entries).fit,
        refit=search.refit,
        seconds=watch.spent + time.perf_counter() - began,
        note=OPTIMISTIC,
    )
    plain_fit = search.refit or search.on == "test"
    return Selected(replace(resolved, config=chosen), data if plain_fit else validation.for_fit(chosen, spec), info)


def best(trials: Sequence[TrialInfo], *, higher_is_better: bool) -> int | None:
    """Return the index of the best trial, the first of equal ones; None when none has a value."""
    sign = 1 if higher_is_better else -1
    ranked = [(sign * trial.value, -index) for index, trial in enumerate(trials) if trial.value is not None]
    return -max(ranked)[1] if ranked else None


@dataclass(frozen=True, slots=True)
class TrialSetup:
    """A plain run, the data it is fitted on, how its predictions are scored, and the metric that is compared."""

    resolved: Resolved
    data: LoadedData
    scorer: Scorer
    metric: MetricSpec

    def value(self, fitted: Fitted, split: Split, report: Progress) -> float:
        """Return the metric of a fitted model on a split; SelectionError when it has no finite value."""
        return self._value(self._scored(fitted, split, report, with_rows=False), split)

    def value_and_interval(self, fitted: Fitted, split: Split, report: Progress) -> tuple[float, intervals.Interval]:
        """Return the metric and its 95 % interval, whose ends are None where there is none."""
        scored = self._scored(fitted, split, report, with_rows=True)
        value = self._value(scored, split)
        metric = scoring.with_replicates(scored, split).metrics()[self.metric.name]
        return value, intervals.Interval(metric.low, metric.high)

    def _scored(self, fitted: Fitted, split: Split, report: Progress, *, with_rows: bool) -> scoring.Scored:
        size = split.batch_size(self.resolved.config.batch_size, takes_lists=fitted.ragged)
        predictions = predict(fitted.model, split, self.resolved.task, self.data.problem, size, progress=report)
        return scoring.score(self.scorer, predictions, split, with_rows=with_rows)

    def _value(self, scored: scoring.Scored, split: Split) -> float:
        name = self.metric.name
        value = scored.values[name]
        if value is None or not math.isfinite(value):
            raise SelectionError(f"{name} has no finite value on split {split.name!r}.")
        return float(value)


def _try(candidate: Candidate, subject: TrialSetup, split: Split, report: Progress) -> Tried:
    """Return the outcome of one candidate, which may be its failure."""
    try:
        fitted = obtain_model(subject.resolved, subject.data, report, None)
        value = subject.value(fitted, split, report)
    except MemoryError as error:
        return _failed(candidate, "oom", error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything, even SystemExit
        return _failed(candidate, "error", error)
    trial = TrialInfo(settings=candidate.settings, value=value, seconds=fitted.info.seconds)
    return Tried(trial, fitted.info.train_samples)


def _failed(candidate: Candidate, status: Literal["error", "oom"], error: BaseException) -> Tried:
    return Tried(TrialInfo(settings=candidate.settings, status=status, message=reason(error)))


def reason(error: BaseException) -> str:
    """Return an error in one line, without the machine's paths; an error not of mlcvbench begins with its type."""
    said = " ".join(str(error).split())
    return scrub(said if isinstance(error, MlcvbenchError) and said else said_by(error))


def _validation(data: LoadedData, resolved: Resolved, search: Search) -> Validation:
    if search.on == "val":
        return validation_of(data, resolved, search.share)
    train = data.splits.get("train")
    if train is None:
        raise no_training(data)
    return Validation(data, train, data.splits["test"], "test")


def _search_of(config: RunConfig) -> Search:
    if config.search is None:
        raise ValueError("the run has no search.")
    return config.search


def _part_of(report: Progress, number: int, count: int) -> Progress:
    """Return the progress callback of one candidate, scaled to the whole search; its fit takes the largest part."""

    def progress(stage: str, done: int, total: int, numbers: Numbers = NO_NUMBERS) -> None:
        share = done / max(total, 1)
        part = FIT_STEPS * share if stage == "fit" else FIT_STEPS + (STEPS - FIT_STEPS) * share
        report("select", int(number * STEPS + part), count * STEPS, numbers)

    return progress
