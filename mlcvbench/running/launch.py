"""One run in one fresh child: start it, watch it, and turn any outcome into a stored record.

The child has its own session (Ctrl-C never reaches it), its own channel (standard output belongs to the method), a time
limit and a memory limit. A crash, a hang or an exit without a result fails that run only; during a search it fails only
the candidate being tried, and another child continues with the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcvbench.errors import RecordError
from mlcvbench.limits import MIB
from mlcvbench.loading.description import describe_data, run_key
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.entries import entries_of
from mlcvbench.processes.child import POLL_SECONDS, Child, started
from mlcvbench.processes.environment import child_environment
from mlcvbench.processes.interrupts import deferred
from mlcvbench.processes.log import LOG_FILE, RunLog
from mlcvbench.processes.progress import Progress, silent
from mlcvbench.processes.tree import Ending, kernel_oom_kills, tree_memory
from mlcvbench.records.canonical import read_record, to_record
from mlcvbench.records.store import Pending, Store, run_name
from mlcvbench.running.clock import RunClock
from mlcvbench.running.reported import EPOCH, History
from mlcvbench.running.trials import Watch

if TYPE_CHECKING:
    from mlcvbench.records.schema import Record, Status

OOM_TYPES = ("MemoryError", "OutOfMemoryError")
OOM_PHRASES = ("DefaultCPUAllocator", "CUDA out of memory", "Insufficient memory")


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The outcome of a child: its record, or why there is none. `stage` is the last one it reported.

    `scored`: the record as of its score, with the `files` that belong to it. `history`: what its fit reported.
    """

    status: Status
    stage: str
    record: dict[str, Any] | None = None
    type: str = ""
    message: str = ""
    traceback: str | None = None
    signal: str | None = None
    limit: str | None = None
    peak_memory: int | None = None
    scored: dict[str, Any] | None = None
    files: frozenset[str] = frozenset()
    history: dict[str, list[float | None]] = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        """Whether a score is kept though the process ended early; not when a user killed it."""
        return self.record is None and self.scored is not None and self.status != "killed"


def submit_child(config: RunConfig, store: Store, progress: Progress = silent) -> Record:
    """Carry out one run in a fresh child process, store it and return its record, whatever the outcome.

    Raises StoreError when it cannot be stored, and `Interrupted`, after ending the child and without storing anything.
    """
    name = run_name(config.definition.name, config.model, config.seed, run_key(config))
    pending = store.begin(name)
    try:
        log = RunLog(pending.folder / LOG_FILE)
        outcome = _run_child(config, pending, log, progress)
        with deferred():
            log.close()
            record = _record_of(config, outcome)
            if outcome.kept or record.status != "ok":
                _keep_only(pending.folder, {LOG_FILE} | (outcome.files if record.status == "ok" else set()))
            return read_record(store.commit(pending, record))
    except BaseException:
        store.discard(pending)
        raise


class _Heard:
    """The child's messages so far."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.stage = "start"
        self.record: dict[str, Any] | None = None
        self.failed: dict[str, Any] | None = None
        self.scored: dict[str, Any] | None = None
        self.files: frozenset[str] = frozenset()
        self.trial: int | None = None
        self.left = 0
        self.history = History()

    def take_in(self, messages: Iterable[dict[str, Any]]) -> None:
        """Process further messages."""
        for message in messages:
            if "stage" in message:
                self.stage = str(message["stage"])
                numbers = dict(message.get("numbers", {}))
                self._progress(self.stage, int(message.get("done", 0)), int(message.get("total", 0)), numbers)
                if numbers and self.trial is None:  # those of a candidate are not the history of the run
                    self.history.add(int(numbers.pop(EPOCH)), numbers)
            elif "trial" in message:
                self.trial, self.left = message["trial"], int(message["left"])
            elif isinstance(message.get("scored"), dict):
                self.scored, self.files = message["scored"], frozenset(map(str, message.get("files", ())))
            elif isinstance(message.get("record"), dict):
                self.record = message["record"]
            elif isinstance(message.get("failed"), dict):
                self.failed = message["failed"]


def _run_child(config: RunConfig, pending: Pending, log: RunLog, progress: Progress) -> RunOutcome:
    """Return the outcome of the run: of its first child, or of the last one after candidates were lost."""
    clock, watch = RunClock(config), Watch()
    while True:
        outcome, trial = _run_one(config, pending, log, progress, clock, watch)
        if trial is None or outcome.status == "ok" or clock.is_over:
            return outcome
        told = (outcome.status, outcome.message)
        watch = Watch({**watch.lost, trial: told}, clock.spent_on_search())


def _run_one(
    config: RunConfig, pending: Pending, log: RunLog, progress: Progress, clock: RunClock, watch: Watch
) -> tuple[RunOutcome, int | None]:
    """Return the outcome of one child, and the candidate that it was trying when it ended."""
    folder = str(pending.folder.absolute())
    heard, oom_kills = _Heard(progress), kernel_oom_kills()
    with started(
        "mlcvbench.running.launch_child",
        {"config": config.to_dict(), "folder": folder, "watch": watch.to_dict()},
        log=log.file,
        environment=child_environment(config.threads, config.device, traces=True),
        arguments=[folder],
    ) as child:
        stopped = _watch(child, config, heard, log, clock)
        ending = child.ending()
        heard.take_in(child.said())
        if stopped is not None:
            outcome = replace(stopped, stage=heard.stage)
        else:
            outcome = _outcome(config, heard, ending, log, kernel_oom_kills() > oom_kills)
        history = heard.history.columns()
        return replace(outcome, scored=heard.scored, files=heard.files, history=history), heard.trial


def _watch(child: Child, config: RunConfig, heard: _Heard, log: RunLog, clock: RunClock) -> RunOutcome | None:
    """Wait for the child's end; when it passes a limit, end it and return that outcome."""
    limit = None if config.memory_mb is None else config.memory_mb * MIB
    peak = 0
    while not child.wait(min(POLL_SECONDS, clock.remaining())):
        heard.take_in(child.said())
        clock.turn_to(heard.trial, heard.left)
        log.trim()
        if limit is not None:
            peak = max(peak, tree_memory(child.pid, limit))
            if peak > limit:
                child.end(grace=0)
                return _out_of_memory(config, f"the run used {peak / MIB:.0f} MB", peak)
        if clock.remaining() <= 0:
            child.end()
            return _too_late(config, clock)
    return None


def _too_late(config: RunConfig, clock: RunClock) -> RunOutcome:
    limit = f"{config.seconds:g} s"
    what = f"the run took longer than its limit of {limit}"
    if clock.share is not None and not clock.is_over:
        limit = f"{clock.share:.0f} s"
        what = f"it took longer than its share of {limit} of the run's time"
    return RunOutcome("timeout", "", type="Timeout", message=f"{what}; give it more with timeout=SECONDS.", limit=limit)


def _outcome(config: RunConfig, heard: _Heard, ending: Ending, log: RunLog, kernel_oom: bool) -> RunOutcome:
    """Return the outcome of a child that ended by itself, or by a signal from outside."""
    stage = heard.stage
    if heard.record is not None:
        return RunOutcome("ok", stage, record=heard.record, peak_memory=ending.peak_memory)
    if heard.failed is not None:
        kind, message, text = (str(heard.failed.get(name, "")) for name in ("type", "message", "traceback"))
        if _means_oom(kind, message):
            return _out_of_memory(config, message, ending.peak_memory, stage)
        return RunOutcome("error", stage, type=kind, message=message, traceback=text)
    if ending.signal is None:
        message = f"the process ended with exit code {ending.code} and without a result."
        return RunOutcome("error", stage, type="NoResult", message=message, traceback=log.ending() or None)
    name = ending.signal
    if name == "SIGKILL" and kernel_oom:
        reason = "the kernel ended the process for lack of memory"
        return replace(_out_of_memory(config, reason, ending.peak_memory, stage), signal=name)
    status: Status = "killed" if ending.from_outside else "error"
    message = f"the process was ended by {name}." if status == "killed" else f"the process crashed with {name}."
    return RunOutcome(status, stage, type="Killed" if status == "killed" else "Crash", message=message,
                   traceback=log.ending() or None, signal=name)  # fmt: skip


def _out_of_memory(config: RunConfig, what: str, peak: int, stage: str = "") -> RunOutcome:
    limit = f"{config.memory_mb} MB" if config.memory_mb is not None else None
    advice = f"its limit is {limit}; give it more with memory=MB." if limit else "it has no limit of its own."
    return RunOutcome(
        "oom", stage, type="OutOfMemory", message=f"{what.rstrip('.')}; {advice}", limit=limit, peak_memory=peak
    )


def _means_oom(kind: str, message: str) -> bool:
    return kind in OOM_TYPES or any(phrase in message for phrase in OOM_PHRASES)


def _record_of(config: RunConfig, outcome: RunOutcome) -> Record:
    """Return the record of an outcome; one that failed has the numbers that its fit reported until then."""
    record = _record_alone(config, outcome)
    if record.status == "ok" or record.fit.history or record.fit.history_reason is not None:
        return record
    return record.model_copy(update={"fit": record.fit.model_copy(update={"history": outcome.history})})


def _record_alone(config: RunConfig, outcome: RunOutcome) -> Record:
    """Return the record of an outcome: the child's own if it is valid, else one that says why there is none."""
    if outcome.kept:
        return _kept_record(config, outcome)
    if outcome.record is None:
        return _failed_record(config, outcome)
    try:
        record = to_record(outcome.record, Path("the child's record"))
    except RecordError as error:
        return _failed_record(config, RunOutcome("error", "record", type="RecordError", message=str(error)))
    if record.error is None or record.status == "ok":
        return record
    if record.status != "oom" and not _means_oom(record.error.type, record.error.message):
        return record
    limit = f"{config.memory_mb} MB" if config.memory_mb is not None else None
    detailed = record.error.model_copy(update={"limit": limit, "peak_memory": outcome.peak_memory})
    return record.model_copy(update={"status": "oom", "error": detailed})


def _kept_record(config: RunConfig, outcome: RunOutcome) -> Record:
    from mlcvbench.running.costs import ended_early

    try:
        record = to_record(outcome.scored or {}, Path("the child's record"))
    except RecordError:
        return _failed_record(config, outcome)
    return ended_early(record, outcome.stage, outcome.message)


def _failed_record(config: RunConfig, outcome: RunOutcome) -> Record:
    from mlcvbench.errors import scrub
    from mlcvbench.records.schema import ErrorInfo
    from mlcvbench.running.record_draft import make_record
    from mlcvbench.running.results import Results, Subject

    error = ErrorInfo(
        stage=outcome.stage,
        type=outcome.type,
        message=scrub(outcome.message),
        traceback=scrub(outcome.traceback) if outcome.traceback else None,
        signal=outcome.signal,
        limit=outcome.limit,
        peak_memory=outcome.peak_memory,
    )
    results = Results(outcome.status, fingerprint=describe_data(config)["fingerprint"], error=error)
    return make_record(Subject(config, entries_of(config)), results)


def _keep_only(folder: Path, names: AbstractSet[str]) -> None:
    """Remove files that do not belong to a run's result: a partial artifact is worse than none."""
    for path in sorted(folder.rglob("*"), reverse=True):  # the content of a folder before the folder itself
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif str(path.relative_to(folder)) not in names:
            path.unlink()
