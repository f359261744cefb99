"""`leaderboard publish`: copy the essential files of valid runs into a folder for git, build and verify its boards.

Copied of a run: its record, byte for byte, its predictions and replicates, and the pictures of the first seed of a row.
The rows, raw latencies and log are not copied; their sha256 is in the record. Predictions over a limit go to an
archive, a folder named by their sha256, which need not be in git.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlcvbench.errors import CheckFailedError
from mlcvbench.leaderboard.build import build_boards, refuse_inside
from mlcvbench.leaderboard.places import paths_among, place_in
from mlcvbench.leaderboard.standing.boards import boards_of
from mlcvbench.leaderboard.standing.superseding import replaced
from mlcvbench.leaderboard.verify import verify_runs
from mlcvbench.records.canonical import RECORD_FILE
from mlcvbench.records.schema import Record
from mlcvbench.records.store import Store
from mlcvbench.storage.durable import remove_tree, storing

RECORDS, ARCHIVE = "records", "archive"
MOST_BYTES = 200_000
"""The most bytes of predictions that are copied beside their record."""
_KEPT = ("predictions.", "replicates.", "plots/")


@dataclass(frozen=True, slots=True)
class Published:
    """The result of publishing: the ids of the runs, those of older runs they replace, and how many were archived.

    `left_out`: how many runs no board ranks, such as partial ones.
    """

    runs: tuple[str, ...]
    dropped: tuple[str, ...]
    archived: int
    left_out: int
    summary: str


def publish(runs: Path, out: Path, data: Mapping[str, Any] | None = None) -> Published:
    """Publish every run of `runs` that a board ranks into `out`, beside what `out` already holds.

    `data`: `data.*` paths, which records do not hold. CheckFailedError, and nothing is published, when a run of `runs`
    cannot be reproduced as recorded, or holds a path of this machine. An older run of the same request in `out` is
    removed; a retracted one stays retracted, and one that was published and is retracted in `runs` is retracted in
    `out` too. A run that was recomputed when published keeps that status, though the archive with its predictions may
    be elsewhere now.
    """
    refuse_inside(out, runs)
    checked = verify_runs(runs, None, data)
    if checked.errors:
        raise CheckFailedError(f"nothing was published: {checked.errors[0]} ({len(checked.errors)} checks failed).")
    pairs, _ = Store(runs).records()
    rows = [row for board in boards_of(pairs) for row in board.rows] if pairs else []
    ranked = {entry.record.run_id for row in rows for entry in row.runs}
    shown = {row.record.run_id for row in rows}  # other seeds give nearly the same pictures
    records, archive = out / RECORDS, out / ARCHIVE
    _refuse_places([pair for pair in pairs if pair[0].run_id in ranked], [runs, *paths_among(data)])
    with storing(out):
        records.mkdir(parents=True, exist_ok=True)
        there = {record.run_id: record.retraction is not None for record, _ in Store(records).records()[0]}
        ranked -= {run for run, retracted in there.items() if retracted}
        taken_back = {r.run_id for r, _ in pairs if r.retraction is not None and r.run_id in there}
        archived = sum(
            _copy(record, folder, records, archive, pictures=record.run_id in shown)
            for record, folder in pairs
            if record.run_id in ranked | taken_back
        )
        dropped = sorted(replaced(record for record, _ in Store(records).records()[0] if record.retraction is None))
        for name in dropped:
            remove_tree(records / name)
    result = verify_runs(records, None, data, archive, keep=True)
    build_boards(records, out)
    if result.errors:
        raise CheckFailedError(f"{result.errors[0]} ({len(result.errors)} checks of {out.name} failed).")
    published = tuple(sorted(ranked - set(dropped)))
    return Published(published, tuple(dropped), archived, len(pairs) - len(ranked), result.summary())


def _refuse_places(pairs: Iterable[tuple[Record, Path]], known: Sequence[str | Path]) -> None:
    """Refuse to publish paths of this machine."""
    for record, folder in pairs:
        names = [RECORD_FILE, *(name for name in record.artifacts if name.startswith(_KEPT))]
        found = place_in(record, folder, names, known)
        if found is not None:
            name, place = found
            raise CheckFailedError(
                f"nothing was published: {name} of run {record.run_id!r} holds {place!r}, a path of this machine. "
                "Settings that name files must be of type path, which shows them by name; then run it again."
            )


def _copy(record: Record, folder: Path, records: Path, archive: Path, *, pictures: bool) -> bool:
    """Copy the published files of a run, the record last; return whether its predictions went to the archive."""
    final, partial = records / record.run_id, records / f".{record.run_id}"
    remove_tree(partial)
    partial.mkdir()
    archived = False
    for name, digest in sorted(record.artifacts.items()):
        if not name.startswith(_KEPT) or (name.startswith("plots/") and not pictures):
            continue
        large = name.startswith("predictions.") and (folder / name).stat().st_size > MOST_BYTES
        target = archive / digest / name if large else partial / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, target)
        archived = archived or large
    shutil.copyfile(folder / RECORD_FILE, partial / RECORD_FILE)
    remove_tree(final)
    partial.rename(final)
    return archived
