"""Many runs: skip stored ones and do the rest one after the other through `submit`, whatever fails.

Runs are serial, because they are timed. A run claimed by another live sweep is left to it: the others are done first,
then this sweep waits for the claim and takes over the stored result. A failed run is stored as an attempt and not
repeated by the same sweep; the same command run again retries it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mlcvbench.errors import StoreError
from mlcvbench.loading import description
from mlcvbench.loading.description import run_key
from mlcvbench.plan.config import RunConfig
from mlcvbench.plan.devices import resolve_device
from mlcvbench.processes.interrupts import Interrupted, catch_interrupts, deferred
from mlcvbench.processes.progress import NO_NUMBERS, Numbers, Progress
from mlcvbench.records.store import Store, run_name
from mlcvbench.registry import get_registry
from mlcvbench.running.launch import submit_child
from mlcvbench.storage import claims

if TYPE_CHECKING:
    from mlcvbench.records.schema import Record

__all__ = ["Submit", "SweepEvent", "SweepResult", "run_sweep", "submit_child"]

CLAIM_POLL_SECONDS = 0.5
EventKind = Literal["reading", "skipped", "held", "started", "progress", "finished", "failed"]


class Submit(Protocol):
    """Carries out one run, stores it and returns its record; the extension point for other executors."""

    def __call__(self, config: RunConfig, store: Store, progress: Progress) -> Record: ...


@dataclass(frozen=True, slots=True)
class SweepEvent:
    """Something that happened to run `index` (from 0) of `total`; `reading`: its data are being read, before any run
    begins.

    `stage`, `done`, `steps`: progress of a running one; `numbers`: what its fit reported just now. `record`: what was
    stored. `message`: one line to show.
    """

    kind: EventKind
    config: RunConfig
    index: int
    total: int
    record: Record | None = None
    stage: str = ""
    done: int = 0
    steps: int = 0
    message: str = ""
    numbers: Numbers = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SweepResult:
    """The result of a sweep.

    `records`: every finished run, in the order of the request; of these `skipped` were stored before and `failed` have
    no result. `interrupted`: the signal that stopped the sweep, with `left` runs not done.
    """

    records: tuple[Record, ...]
    skipped: tuple[Record, ...]
    failed: tuple[Record, ...]
    interrupted: int | None
    left: int

    @property
    def exit_code(self) -> int:
        """0 all ok, 1 some run failed, 130 or 143 interrupted."""
        if self.interrupted is not None:
            return 128 + self.interrupted
        return 1 if self.failed else 0

    @property
    def summary(self) -> str:
        """The last line of an interrupted sweep.

        >>> SweepResult((), (), (), 2, 3).summary
        '0 finished, 3 left; the same command resumes'
        """
        return f"{len(self.records)} finished, {self.left} left; the same command resumes"


def run_sweep(
    configs: Sequence[RunConfig],
    store: Store,
    *,
    submit: Submit = submit_child,
    on_event: Callable[[SweepEvent], None] | None = None,
) -> SweepResult:
    """Carry out `configs` in order and return the result.

    SIGINT and SIGTERM end the running child and the sweep; a second one kills at once. StoreError when the store
    cannot be written (exit code 1 once runs have begun), DataError when the data of a run cannot be read.
    """
    sweep = _Sweep(configs, store, submit, on_event or _ignore)
    interrupted = None
    with catch_interrupts():
        try:
            sweep.prepare()
            sweep.carry_out()
        except Interrupted as stop:
            interrupted = stop.signum
    return sweep.result(interrupted)


def _ignore(event: SweepEvent) -> None:
    """Show nothing."""


class _Sweep:
    def __init__(
        self,
        configs: Sequence[RunConfig],
        store: Store,
        submit: Submit,
        show: Callable[[SweepEvent], None],
    ) -> None:
        self._configs = tuple(configs)
        self._store = store
        self._submit = submit
        self._show = show
        self._hook = get_registry().hook
        self._keys: list[str] = []
        self._ended: dict[int, Record] = {}
        self._skipped: set[int] = set()

    def prepare(self) -> None:
        """Check before the first fit: the device, the folder, the data."""
        for device in {config.device for config in self._configs}:
            resolve_device(device)
        self._store.ensure_writable()
        self._store.clean_stale()
        description.forget()
        for index, config in enumerate(self._configs):
            self._emit(index, "reading", stage="reading data")
            self._keys.append(run_key(config))

    def carry_out(self) -> None:
        """Do every run that is not stored; runs claimed by other sweeps come last."""
        held = {}
        for index in range(len(self._configs)):
            if not self._attempt(index):
                held[index] = len(self._store.attempts(self._keys[index]))
        for index, attempts in held.items():
            while not self._attempt(index, attempts):
                time.sleep(CLAIM_POLL_SECONDS)

    def result(self, interrupted: int | None) -> SweepResult:
        """Return the result so far."""
        records = [self._ended[index] for index in sorted(self._ended)]
        return SweepResult(
            records=tuple(records),
            skipped=tuple(self._ended[index] for index in sorted(self._skipped)),
            failed=tuple(record for record in records if record.status != "ok"),
            interrupted=interrupted,
            left=len(self._configs) - len(records),
        )

    def _attempt(self, index: int, attempts: int | None = None) -> bool:
        """Do or skip one run; False when another sweep is doing it.

        `attempts`: the failed attempts before waiting for that sweep; a further one is its result and is taken over.
        """
        if self._skip_stored(index):
            return True
        name = self._name(index)
        with deferred():
            holder = claims.claim(self._store.root, name)
        if holder is not None:
            if attempts is None:
                self._emit(index, "held", message=f"{name} is being run by process {holder.pid}; it comes last.")
            return False
        try:
            if self._skip_stored(index):  # the other sweep may have stored it just before the claim
                return True
            failed = self._store.attempts(self._keys[index])
            if attempts is not None and len(failed) > attempts:
                self._end(index, self._store.load(failed[-1]))
            else:
                self._run(index)
        finally:
            claims.release(self._store.root, name)
        return True

    def _skip_stored(self, index: int) -> bool:
        stored = self._store.find_ok(self._keys[index])
        if stored is None or (self._configs[index].strict and stored.notices):
            return False
        self._ended[index] = stored
        self._skipped.add(index)
        self._emit(index, "skipped", record=stored)
        return True

    def _run(self, index: int) -> None:
        config = self._configs[index]
        self._emit(index, "started")
        run = config.to_dict()
        self._hook.mlcvbench_run_started(run=run)

        def progress(stage: str, done: int, total: int, numbers: Numbers = NO_NUMBERS) -> None:
            self._emit(index, "progress", stage=stage, done=done, steps=total, numbers=numbers)
            self._hook.mlcvbench_progress(run=run, stage=stage, done=done, total=total, numbers=dict(numbers))

        try:
            record = self._submit(config, self._store, progress)
        except StoreError as error:
            error.exit_code = 1  # the request was valid; it is a run that could not be stored
            raise
        except Interrupted:
            stored = self._store.find_ok(self._keys[index])  # the interrupt may have been deferred by its commit
            if stored is not None:
                self._ended[index] = stored
            raise
        self._end(index, record)
        self._hook.mlcvbench_run_finished(record=record.model_dump(mode="json"))

    def _end(self, index: int, record: Record) -> None:
        self._ended[index] = record
        message = "" if record.error is None else f"{record.status} at {record.error.stage}: {record.error.message}"
        self._emit(index, "finished" if record.status == "ok" else "failed", record=record, message=message)

    def _name(self, index: int) -> str:
        config = self._configs[index]
        return run_name(config.definition.name, config.model, config.seed, self._keys[index])

    def _emit(self, index: int, kind: EventKind, **details: Any) -> None:
        self._show(SweepEvent(kind, self._configs[index], index, len(self._configs), **details))
