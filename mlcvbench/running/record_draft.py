"""The record draft: a run in progress, and the one function that makes a record from what is known so far.

A stage returns a frozen result, which is put into `Results`. So a failing run still records all that is known, and a
run whose process ends during measurement leaves the record kept before.
"""

from __future__ import annotations

import secrets
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TypeVar

from mlcvbench.contract import Notice
from mlcvbench.errors import DataError, RequestError, first_line, scrub, short_digests
from mlcvbench.files.ahead import counting, counting_waits
from mlcvbench.loading.prepared import Prepared
from mlcvbench.plan.command import command_of
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.identity import Keys, compute_keys
from mlcvbench.plan.named_files import Shown, paths_of, shown
from mlcvbench.processes.progress import NO_NUMBERS, Numbers, Progress
from mlcvbench.records.schema import (
    DatasetInfo,
    EnvironmentInfo,
    ErrorInfo,
    FitInfo,
    ModelInfo,
    NoticeInfo,
    Record,
    Status,
    TaskInfo,
    ThroughputInfo,
    WeightsInfo,
    YardstickInfo,
)
from mlcvbench.records.store import run_name
from mlcvbench.running.results import Begun, Results, Subject
from mlcvbench.storage.durable import message_of
from mlcvbench.version import __version__

CONTAMINATED = "its settings were chosen on the test split (select_on=test), so its score is too good"
READING = {"resolve": "resolve", "fit": "read", "score": "score"}
"""The stages that count what they read, and the name of that."""
_Made = TypeVar("_Made")


def make_record(subject: Subject, results: Results) -> Record:
    """Return the record of a run as far as it is known, whatever its outcome."""
    config, entries, begun, fit = subject.config, subject.entries, results.begun, results.fit
    scores, timing = results.scores, results.costs.timing
    keys = compute_keys(config, results.fingerprint, entries)
    return Record(
        mlcvbench_version=__version__,
        run_id=run_name(config.definition.name, config.model, config.seed, keys.run),
        run_key=keys.run,
        group_key=keys.group,
        nonce=secrets.token_hex(8),
        created_utc=datetime.now(UTC).isoformat(timespec="milliseconds"),
        status=results.status,
        partial=config.limit is not None,
        isolated=subject.isolated,
        contaminated=CONTAMINATED if config.search is not None and config.search.on == "test" else None,
        task=TaskInfo(
            kind=config.definition.kind,
            definition=config.definition.name,
            protocol_id=config.definition.protocol,
            title=config.definition.title,
        ),
        dataset=begun.dataset if begun else None,
        model=_model(subject, results, keys),
        config=_shown(subject, config).config,
        command=subject.command or command_of(config, entries),
        seed=config.seed,
        metrics=dict(scores.metrics) if scores else {},
        primary_metric=begun.primary_metric if begun else None,
        intervals=dict(scores.intervals) if scores else {},
        predictions=results.predictions,
        notices=tuple(NoticeInfo(**asdict(notice)) for notice in results.notices),
        operations=results.costs.operations,
        parameters=fit.parameters if fit else None,
        layers=results.costs.layers,
        memory=results.costs.memory,
        latency=timing.latency if timing else {},
        throughput=timing.throughput if timing else ThroughputInfo(),
        fit=fit.info if fit else FitInfo(),
        selection=results.selected.info if results.selected else None,
        yardstick=timing.yardstick if timing else YardstickInfo(),
        checks=dict(results.costs.checks),
        environment=_environment(results),
        env_class=begun.env_class if begun else "",
        stage_seconds={name: round(value, 3) for name, value in results.seconds.items()},
        waited_seconds=round(sum(results.waits), 3),
        breakdowns=results.breakdowns,
        plots=results.plots,
        error=results.error,
    )


def _shown(subject: Subject, config: RunConfig) -> Shown:
    return shown(config, subject.entries)


def _model(subject: Subject, results: Results, keys: Keys) -> ModelInfo:
    if subject.model is not None:
        return subject.model
    entry = subject.entries.model_entry
    chosen = results.selected.resolved.config if results.selected else subject.config
    return ModelInfo(
        name=subject.config.model,
        plugin=entry.origin.plugin,
        plugin_version=entry.origin.version,
        source_hash=keys.sources.get(entry.origin.package),
        family=entry.spec.family,
        params=_shown(subject, chosen).config["model_params"],
        weights=results.fit.weights if results.fit else WeightsInfo(source="none"),
        summary=entry.spec.summary,
        reference=entry.spec.reference,
        year=entry.spec.year,
    )


def _environment(results: Results) -> EnvironmentInfo:
    """Return the machine, with its GPU's state during timing: clocks, temperature, power, throttling."""
    found, timing = results.begun.environment if results.begun else EnvironmentInfo(), results.costs.timing
    if timing is None or not timing.gpu:
        return found
    return found.model_copy(update={"extra": {**found.extra, "timing": timing.gpu}})


class Draft:
    """A run in progress: its subject, its results so far, the current stage and how to report progress.

    `keep` is called with the record so far once there is a score, and again after each measured cost.
    """

    def __init__(
        self,
        subject: Subject,
        progress: Progress | None = None,
        keep: Callable[[Record], None] | None = None,
    ) -> None:
        self.subject, self.results = subject, Results()
        self._progress, self._keep = progress, keep
        self._stage = "resolve"

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Set the current stage, and record how long it took."""
        self._stage = name
        self.report(name, 0, 1)
        start = time.perf_counter()
        waits = [] if name == "resolve" else self.results.waits  # that stage is all files anyway
        with counting_waits(waits), counting(self._counter(name)):
            yield
        self.results.seconds[name] = time.perf_counter() - start
        self.report(name, 1, 1)

    def _counter(self, stage: str) -> Callable[[int, int], None] | None:
        """Return what reports how much of a stage's data has been read; others count their own progress."""
        if stage not in READING:
            return None

        def report(done: int, total: int) -> None:
            self.report(READING[stage], done, total)
            if done == total and READING[stage] != stage:
                self.report(stage, 0, 1)

        return report

    def report(self, stage: str, done: int, total: int, numbers: Numbers = NO_NUMBERS) -> None:
        """Report the progress of a stage, and what its fit reports."""
        if self._progress is not None:
            self._progress(stage, done, total, numbers)

    def attempt(self, make: Callable[[], _Made], without: Callable[[str], _Made]) -> _Made:
        """Return `make()`, or `without` applied to the reason for its failure, which must not cost the score."""
        try:
            return make()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a method may raise anything; the score is kept
            if self.subject.isolated:
                traceback.print_exc(file=sys.stderr)
            return without(first_line(error))

    def begin(self, prepared: Prepared) -> None:
        """Record the data, the protocol and the machine; a model known by its predictions only has no machine."""
        from mlcvbench.measure.environment import describe

        test, known = prepared.test, _shown(self.subject, self.subject.config)
        self.results.fingerprint = prepared.fingerprint
        self.notice(prepared.notices)
        environment, env_class = describe(prepared.device)
        dataset = DatasetInfo(
            name=prepared.data.name,
            version=prepared.data.version,
            split="test",
            fingerprint=test.fingerprint(),
            n=len(test),
            params=known.config["data_params"],
            licence=self.subject.entries.dataset.spec.licence,
        )
        self.results.begun = Begun(
            dataset,
            prepared.scorer.primary().name,
            environment,
            env_class if self.subject.shown else "",
            known.labels,
        )

    def refuse_changed(self) -> None:
        """Refuse a run during which a file changed that decides its result; DataError names its setting."""
        before = self.results.begun.labels if self.results.begun else ()
        now_known = _shown(self.subject, self.subject.config).labels
        for (key, label), now in zip(before, now_known, strict=True):
            if (key, label) != now:
                raise DataError(f"{key}={short_digests(label)}: changed during the run; run it again.")

    def notice(self, notices: Iterable[Notice]) -> None:
        """Record notices, each once; RequestError with their texts where `strict` is on."""
        config, known = self.subject.config, self.results.notices
        paths = paths_of(config, self.subject.entries)
        provided = self.subject.entries.provided
        by_nature = () if provided is None else provided.spec.by_nature
        news = (notice for notice in notices if notice.code not in by_nature)
        known |= {replace(notice, text=scrub(notice.text, paths)): None for notice in news}
        if config.strict and known:
            raise RequestError(f"strict=on: {' '.join(notice.text for notice in known)}")

    def remark(self, notice: Notice) -> None:
        """Record a notice about what happened after the score, which `strict` does not refuse."""
        self.results.notices[notice] = None

    def keep(self) -> None:
        """Pass on the record so far, which counts should this process end early."""
        if self._keep is not None:
            self._keep(self.record())

    def known_by(self, **content: str) -> None:
        """Record what identifies a model that no plugin provides: sha256 of its predictions, weights, measured
        costs.
        """
        config = self.subject.config
        self.subject = replace(self.subject, config=replace(config, content={**config.content, **content}))

    def fail(self, status: Status, error: BaseException) -> None:
        """Turn the record into one of a failed run."""
        config = self.subject.config
        self.results.status = status
        self.results.error = ErrorInfo(
            stage=self._stage,
            type=type(error).__name__,
            message=scrub(message_of(error)),
            traceback=scrub("".join(traceback.format_exception(error))),
            limit=f"{config.memory_mb} MB" if status == "oom" and config.memory_mb else None,
        )

    def record(self) -> Record:
        """Return the record of what is known now."""
        return make_record(self.subject, self.results)
