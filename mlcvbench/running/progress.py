"""Progress of a sweep: a status line for the current run, and a permanent line for each finished one."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from mlcvbench.processes.progress import NO_NUMBERS, Numbers
from mlcvbench.processes.status_line import StatusLine, fitted, span_text

if TYPE_CHECKING:
    from mlcvbench.records.schema import Record
    from mlcvbench.running.sweep import SweepEvent

UNDER_WAY = ("reading", "progress")
WORTH_SECONDS = 5.0
"""A run must take so long before it is said what its time went into."""
HEAD_ROOM = 18
"""Columns that a run's heading keeps where the numbers of its fit do not all fit."""
SURE_SECONDS = 2.0
"""Seconds that a stage must have taken before its remaining time is estimated."""


class Reporter:
    """Shows sweep events; call it with each, inside its `with` block. By default on standard error.

    `quiet`: show failed runs only; `silent`: show nothing.
    """

    def __init__(
        self, *, quiet: bool = False, stream: TextIO | None = None, live: bool | None = None, silent: bool = False
    ) -> None:
        self._quiet, self._silent = quiet, silent
        self._line = StatusLine(quiet=quiet, stream=stream, live=live)
        self._clock = _Clock()
        self._numbers = _Numbers()

    def __enter__(self) -> Reporter:
        self._line.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.__exit__(kind, error, trace)

    def __call__(self, event: SweepEvent) -> None:
        """Show one event."""
        self._clock.note(event, time.monotonic())
        if event.kind in UNDER_WAY:
            head, clock, numbers = _head(event), self._clock, self._numbers.latest(event)

            def text(width: int) -> str:
                stage, spent = _stage(event), clock.text(time.monotonic())
                room = width - min(len(head), HEAD_ROOM) - len(stage) - len(spent)
                return fitted(head, f"{stage}{numbers_text(numbers, room)}{spent}", width)

            self._line.show(text)
            return
        line = _line(event)
        if line is None or self._silent or (self._quiet and event.kind != "failed"):
            return
        self._line.show(lambda _: "")
        self._line.write(line)


def session_reporter(quiet: bool | None = None) -> Reporter:
    """Return the reporter of a sweep that was started from Python.

    `quiet` None: shown in a notebook or an interactive interpreter, not in a script. A notebook is not a terminal but
    can rewrite a line; it shows standard error like a failure, so standard output is used.
    """
    interactive = hasattr(sys, "ps1")  # IPython sessions and kernels set it too
    hidden = not interactive if quiet is None else quiet
    notebook = interactive and not sys.stderr.isatty()
    return Reporter(quiet=hidden, stream=sys.stdout if notebook else sys.stderr, live=notebook or None, silent=hidden)


class _Numbers:
    """What the fit of the current run reported last, in the stage that is under way."""

    def __init__(self) -> None:
        self._of: tuple[int, str] = (-1, "")
        self._last = NO_NUMBERS

    def latest(self, event: SweepEvent) -> Numbers:
        """Return the numbers to show at an event: its own, else those of before in the same stage."""
        if (event.index, event.stage) != self._of:
            self._of, self._last = (event.index, event.stage), NO_NUMBERS
        self._last = event.numbers or self._last
        return self._last


def numbers_text(numbers: Numbers, room: int) -> str:
    """Return what a fit reported in at most `room` columns: the epoch, then as many numbers as there is room for.

    >>> numbers_text({"epoch": 3, "loss": 0.51234, "top1": None}, 40)
    ', epoch 3: loss 0.5123 top1 -'
    >>> numbers_text({"epoch": 3, "loss": 0.51234, "top1": None}, 24)
    ', epoch 3: loss 0.5123'
    """
    parts = [f"{name} {'-' if value is None else f'{value:.4g}'}" for name, value in numbers.items()]
    said = ""
    for number, part in enumerate(parts):
        longer = f"{said}{(', ', ': ')[number] if number < 2 else ' '}{part}"
        if len(longer) > room:
            break
        said = longer
    return said


class _Clock:
    """Times from the events: elapsed time of the run, and estimates for its stage and the whole sweep."""

    def __init__(self) -> None:
        self._index = -1
        self._stage = ""
        self._run_began = 0.0
        self._first: tuple[float, float] | None = None
        self._share = 0.0
        self._ended: list[float] = []
        self._left = 0

    def note(self, event: SweepEvent, now: float) -> None:
        """Process an event."""
        if event.kind in UNDER_WAY:
            if event.index != self._index:
                self._index, self._stage, self._run_began = event.index, "", now
            if event.stage != self._stage:
                self._stage, self._first = event.stage, None
            self._share = event.done / event.steps if event.steps > 1 else 0.0
            if self._first is None and self._share > 0:
                self._first = (now, self._share)  # the time before may have been spent on imports
            self._left = event.total - event.index - 1
        elif event.kind in {"finished", "failed"} and event.index == self._index:
            self._ended.append(now - self._run_began)

    def text(self, now: float) -> str:
        """Return the elapsed time of the run, and the remaining time as far as it can be estimated."""
        run = now - self._run_began
        said = f", {span_text(run)}"
        begin, before = self._first or (now, 1.0)
        if self._share > before and now - begin >= SURE_SECONDS:
            said += f", about {span_text((now - begin) / (self._share - before) * (1 - self._share))} left"
        if self._ended and self._left:
            each = sum(self._ended) / len(self._ended)
            said += f"; all runs: about {span_text(max(each - run, 0.0) + each * self._left)} left"
        return said


def _stage(event: SweepEvent) -> str:
    return f"{event.stage} {event.done / event.steps:.0%}" if event.steps > 1 else event.stage


def _head(event: SweepEvent) -> str:
    """Return the heading of a run in a sweep: its number, model, given settings except paths, and seed."""
    from mlcvbench.plan.command import given_settings
    from mlcvbench.plan.entries import entries_of
    from mlcvbench.specs.values import text

    config = event.config
    entries = entries_of(config)
    places = {f"data.{name}" for name in entries.places}
    given = {key: value for key, value in given_settings(config, entries).items() if key not in places}
    settings = "".join(f" {key.removeprefix('model.')}={text(value)}" for key, value in given.items())
    return f"[{event.index + 1}/{event.total}] {config.model}{settings} seed {config.seed}: "


def _line(event: SweepEvent) -> str | None:
    """Return the permanent line of an event, None when it has none."""
    if event.kind == "held":
        return event.message
    record = event.record
    if event.kind == "skipped":
        return f"{_head(event)}already stored"
    if record is None:
        return None
    if event.kind == "failed":
        error = record.error
        said = f"{error.stage}: {error.message}" if error else "no reason given"
        return f"{_head(event)}{record.status}, {said}"
    seconds = sum(record.stage_seconds.values())
    remarks = (_loading(record), _chosen(record), _lost(record), _cut_short(record), _doubted(record))
    return f"{_head(event)}ok in {seconds:.0f} s{''.join(remarks)}"


def _loading(record: Record) -> str:
    """Say how much of a run's time went into its files, if that was most of a time worth a word."""
    seconds, waited = sum(record.stage_seconds.values()), record.waited_seconds or 0.0
    listed = record.stage_seconds.get("resolve", 0.0)
    if seconds < WORTH_SECONDS or waited + listed <= seconds / 2:
        return ""
    return f"; {waited + listed:.0f} s of it were files: {listed:.0f} s to list and check, {waited:.0f} s to read them"


def _doubted(record: Record) -> str:
    """Return the doubts about the model's honesty or its time, if any."""
    from mlcvbench.records.doubts import doubts

    return "".join(f"; {doubt.text}" for doubt in doubts(record) if doubt.about != "fit")


def _cut_short(record: Record) -> str:
    """Return the remark that the fit ended early, if it did."""
    fit, config = record.fit, record.config
    budget = config.get("fit_budget") or config.get("definition", {}).get("fit_budget")
    if not fit.cut_short:
        return ""
    done = f" after epoch {fit.epochs}" if fit.epochs is not None else ""
    return f"; its fit was cut short{done}: the budget is {budget:g} s"


def _chosen(record: Record) -> str:
    """Return what a search chose, if there was one."""
    from mlcvbench.records.display import settings_text

    if record.selection is None:
        return ""
    trials = record.selection.trials
    return f"; chose {settings_text(trials[record.selection.winner].settings)} of {len(trials)} candidates"


def _lost(record: Record) -> str:
    """Return how many candidates of a search failed, if any did."""
    trials = record.selection.trials if record.selection is not None else ()
    failed = sum(trial.status != "ok" for trial in trials)
    return f"; {failed} of {len(trials)} candidates failed; see `mlcvbench show`" if failed else ""
