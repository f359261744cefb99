"""Progress of a sweep on standard error: one line that is rewritten on a terminal, one line a run elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from mlcvbench.records.schema import Record
    from mlcvbench.sweep import SweepEvent

REDRAW_SECONDS = 0.1


class Reporter:
    """Shows sweep events; call it with each. Standard output stays free for results."""

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._quiet = quiet
        self._stream = sys.stderr if stream is None else stream
        self._live = not quiet and self._stream.isatty()
        self._drawn = False
        self._last = 0.0

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()

    def __call__(self, event: SweepEvent) -> None:
        """Show one event."""
        if event.kind == "progress":
            self._redraw(event)
            return
        line = _line(event)
        if line is None or (self._quiet and event.kind not in {"failed", "interrupted"}):
            return
        self._clear()
        self._write(f"{line}\n")

    def _redraw(self, event: SweepEvent) -> None:
        now = time.monotonic()
        if not self._live or now - self._last < REDRAW_SECONDS:
            return
        self._last = now
        share = f" {event.done / event.steps:4.0%}" if event.steps > 1 else ""
        text = f"{_head(event)}{event.stage}{share}"
        width = shutil.get_terminal_size().columns - 1
        self._write(f"\r\x1b[2K{text[:width]}")
        self._drawn = True

    def _clear(self) -> None:
        if self._drawn:
            self._write("\r\x1b[2K")
            self._drawn = False

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self._quiet, self._live = True, False  # nobody is listening; the runs go on


def _head(event: SweepEvent) -> str:
    """Return what tells a run of a sweep from the others: its place, model, given settings but paths, and seed."""
    from mlcvbench.request import given_settings, path_parameters, text

    config = event.config
    paths = {f"data.{name}" for name in path_parameters(config)}
    given = {key: value for key, value in given_settings(config).items() if key not in paths}
    settings = "".join(f" {key.removeprefix('model.')}={text(value)}" for key, value in given.items())
    return f"[{event.index + 1}/{event.total}] {config.model}{settings} seed {config.seed}: "


def _line(event: SweepEvent) -> str | None:
    """Return the line that an event leaves behind, None when it leaves none."""
    if event.kind in {"note", "interrupted", "held"}:
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
    return f"{_head(event)}ok in {seconds:.0f} s{_chosen(record)}{_lost(record)}{_cut_short(record)}{_doubted(record)}"


def _doubted(record: Record) -> str:
    """Say what speaks against the model's honesty or its time, if anything does."""
    from mlcvbench.records.doubts import doubts

    return "".join(f"; {doubt.text}" for doubt in doubts(record) if doubt.about != "fit")


def _cut_short(record: Record) -> str:
    """Say that the fit ended early, if it did."""
    fit, budget = record.fit, record.config.get("definition", {}).get("fit_budget")
    if not fit.cut_short:
        return ""
    done = f" after epoch {fit.epochs}" if fit.epochs is not None else ""
    return f"; its fit was cut short{done}: the budget is {budget:g} s"


def _chosen(record: Record) -> str:
    """Say what a search chose, if there was one."""
    from mlcvbench.records.display import settings_text

    if record.selection is None:
        return ""
    trials = record.selection.trials
    return f"; chose {settings_text(trials[record.selection.winner].settings)} of {len(trials)} candidates"


def _lost(record: Record) -> str:
    """Say how many candidates of a search failed, if any did."""
    trials = record.selection.trials if record.selection is not None else ()
    failed = sum(trial.status != "ok" for trial in trials)
    return f"; {failed} of {len(trials)} candidates failed, as `mlcvbench show` tells" if failed else ""
