"""`leaderboard verify`: every run checked from its bytes up, and the built tables compared with their records.

Checks by id: `record` (readable, schema), `artifact` (sha256), `metrics` (recomputed bit for bit from the stored
predictions), `table` (a built file equals what its records give). Each states the file, what was got and wanted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlcvbench.errors import MlcvbenchError, said_by
from mlcvbench.files.remembered import rechecked
from mlcvbench.leaderboard.build import picture_in
from mlcvbench.leaderboard.standing.boards import boards_of
from mlcvbench.leaderboard.tables.export import table_files
from mlcvbench.leaderboard.verdicts import (
    CHECKED,
    FAILED,
    RECOMPUTED,
    Verdicts,
    read_report,
    record_digest,
    write_report,
)
from mlcvbench.records.schema import Record

ARCHIVED = ("predictions.", "rows.", "latency.", "log.", "plots/")
"""Artifacts that a published folder may leave out: no number rests on them but the predictions' own, and their sha256
stays in the record."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its id, the file, what was got and wanted. `note`: why it could not be made, which is not a
    failure.
    """

    id: str
    file: str
    passed: bool
    got: str = ""
    wanted: str = ""
    note: str = ""

    def __str__(self) -> str:
        if self.passed:
            return f"{'note' if self.note else 'ok'}  {self.id}: {self.file}{f': {self.note}' if self.note else ''}"
        return f"FAIL  {self.id}: {self.file}: got {self.got}, wanted {self.wanted}"


@dataclass(frozen=True, slots=True)
class Verified:
    """All checks of a folder of runs, and the ids of the runs whose metrics were recomputed, now or earlier."""

    checks: tuple[Check, ...]
    recomputed: tuple[str, ...]
    runs: int
    earlier: tuple[str, ...] = ()

    @property
    def errors(self) -> list[Check]:
        """The checks that failed."""
        return [check for check in self.checks if not check.passed]

    def summary(self) -> str:
        """Return one line for people."""
        failed = len(self.errors)
        return (
            f"{self.runs} runs, {len(self.checks)} checks, {failed} failed; "
            f"{len(self.recomputed)} runs recomputed bit for bit{self._earlier()}."
        )

    def _earlier(self) -> str:
        return f", {len(self.earlier)} earlier, whose predictions are not here" if self.earlier else ""

    def plain(self) -> dict[str, Any]:
        """Return everything as JSON types."""
        ids = {"recomputed": list(self.recomputed), "earlier": list(self.earlier)}
        return {"checks": [asdict(check) for check in self.checks], **ids, "runs": self.runs}


def verify_runs(
    runs: Path,
    out: Path | None,
    data: Mapping[str, Any] | None = None,
    archive: Path | None = None,
    *,
    keep: bool = False,
) -> Verified:
    """Check every run in `runs`, write the verdicts beside them and compare the tables in `out` where there are any.

    `data`: `data.*` paths of data sets, which records do not hold; `archive`: where large predictions are, one folder
    per sha256. `keep`: a run that was recomputed earlier, whose record is unchanged and whose predictions are not here,
    keeps that status; for the folder's owner, since nobody else can trust its report. StoreError when `runs` is not a
    folder or holds no run.
    """
    from mlcvbench.errors import StoreError
    from mlcvbench.records.store import Store
    from mlcvbench.storage.durable import storing

    if not runs.is_dir():
        raise StoreError(
            f"no folder {str(runs)!r}: wanted the folder of runs that `mlcvbench run` wrote; give runs=DIR."
        )
    store = Store(runs)
    pairs, problems = store.records()
    if not pairs and not problems:
        raise StoreError(f"{str(runs)!r} holds no run; give runs=DIR or run something first.")
    checks = [Check("record", problem.path.name, False, problem.message, "a readable record") for problem in problems]
    verdicts: dict[str, dict[str, str]] = {}
    with rechecked():  # data are read again, not taken from the cache
        for record, folder in pairs:
            found = [Check("record", record.run_id, True), *_artifacts(record, folder)]
            found += _metrics(record, folder, data, archive) if record.status == "ok" else []
            checks += found
            verdicts[record.run_id] = _verdict(found, folder)
    built_with = read_report(runs)
    recomputed = tuple(run for run, verdict in verdicts.items() if verdict["verdict"] == RECOMPUTED)
    unsure = [run for run, verdict in verdicts.items() if verdict["verdict"] == CHECKED]
    earlier = tuple(run for run in unsure if keep and run in built_with.recomputed)
    for run in earlier:
        verdicts[run]["verdict"] = RECOMPUTED
    if pairs:  # else it is a foreign folder, into which nothing is written
        with storing(runs):
            write_report(runs, verdicts)
    checks += _tables(pairs, (built_with, read_report(runs)), out) if out is not None else []
    return Verified(tuple(checks), recomputed, len(pairs) + len(problems), earlier)


def lines(result: Verified) -> list[str]:
    """Return the report as lines: every failed check, equal notes as one line, and the summary."""
    notes: dict[tuple[str, str], list[str]] = {}
    for check in result.checks:
        if check.passed and check.note:
            notes.setdefault((check.id, check.note), []).append(check.file)
    failed = [str(check) for check in result.errors]
    said = [f"note  {name}: {_named(files)}: {note}" for (name, note), files in notes.items()]
    return [*failed, *said, result.summary()]


def _named(files: Sequence[str]) -> str:
    return files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1:,} more"


def _verdict(checks: Sequence[Check], folder: Path) -> dict[str, str]:
    failed = next((check for check in checks if not check.passed), None)
    made = any(check.id == "metrics" and not check.note for check in checks)
    verdict = FAILED if failed else RECOMPUTED if made else CHECKED
    reason = f"{failed.id} {failed.file}" if failed else ""
    return {"record": record_digest(folder) or "", "verdict": verdict, "reason": reason}


def _artifacts(record: Record, folder: Path) -> list[Check]:
    """Recompute the hash of each artifact; a large one may be archived elsewhere."""
    from mlcvbench.records.store import digests_of, scored_digest

    checks = []
    for name, wanted, got in digests_of(record, folder):
        label = f"{record.run_id}/{name}"
        if got is not None:
            checks.append(Check("artifact", label, got == wanted, f"sha256 {got[:12]}", f"sha256 {wanted[:12]}"))
        elif name.startswith(ARCHIVED) and not (folder / name).is_symlink():
            checks.append(Check("artifact", label, True, note="not stored here; its sha256 is in the record"))
        else:
            checks.append(Check("artifact", label, False, "no file", f"sha256 {wanted[:12]}"))
    kept, scored = scored_digest(record.artifacts), record.predictions_sha256
    if scored is not None and kept != scored:
        label = f"{record.run_id}/record.json predictions_sha256"
        checks.append(Check("artifact", label, False, f"sha256 {scored[:12]}", f"sha256 {(kept or 'none')[:12]}"))
    return checks


def _metrics(record: Record, folder: Path, data: Mapping[str, Any] | None, archive: Path | None = None) -> list[Check]:
    """Recompute every metric, interval and replicate from the stored predictions."""
    from mlcvbench.analysis.rescoring import predictions_file, recompute, unknown_path

    label = f"{record.run_id}/record.json"
    try:
        predictions_file(record, folder, archive)
    except MlcvbenchError:
        return [Check("metrics", label, True, note="not recomputed: its predictions are not stored here")]
    try:
        unknown = unknown_path(record, data)
        if unknown is not None:
            note = f"not recomputed: records do not say where data are; give data.{unknown}=DIR"
            return [Check("metrics", label, True, note=note)]
        result = recompute(record, folder, data, archive)
    except MlcvbenchError as error:
        return [Check("metrics", label, False, str(error), "metrics recomputed from the stored predictions")]
    except (TypeError, ValueError, KeyError, AttributeError) as error:  # a record whose config is not one
        said = said_by(error)
        return [Check("metrics", label, False, said, "a config from which the run can be rebuilt")]
    wrong = [Check("metrics", f"{label} {d.file}", False, d.got, d.wanted) for d in result.differences]
    return wrong or [Check("metrics", label, True)]


def _tables(pairs: Sequence[tuple[Record, Path]], reports: tuple[Verdicts, Verdicts], out: Path) -> list[Check]:
    """Compare the tables in `out` with those the records give; a table that was never built is not checked.

    A table may show the trust after this verification, before it, or before any.
    """
    checks = []
    never, before, after = (_contents(pairs, report, out) for report in (Verdicts(), *reports))
    for name in sorted({*never, *before, *after}):
        path = out / name
        if path.is_file():
            found = path.read_text(encoding="utf-8", errors="replace")
            same = found in (never.get(name), before.get(name), after.get(name))
            stale = same and found != after.get(name)
            note = "shows the trust before a verification; build again" if stale else ""
            checks.append(Check("table", name, same, "another text", "what the records give; build again", note))
    return checks


def _contents(pairs: Sequence[tuple[Record, Path]], report: Verdicts, out: Path) -> dict[str, str]:
    """Return the text of each table file by name."""
    contents: dict[str, str] = {}
    for board in boards_of(pairs, recomputed=report.recomputed, refuted=report.refuted) if pairs else []:
        files = table_files(board, picture_in(out, board))
        contents |= {f"{board.slug}.{extension}": text for extension, text in files.items()}
    return contents
