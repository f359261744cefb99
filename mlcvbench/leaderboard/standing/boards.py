"""From the records of a store to boards: one per definition, protocol id and data fingerprint."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from mlcvbench.errors import REFUSALS
from mlcvbench.leaderboard.standing.labels import config_labels
from mlcvbench.leaderboard.standing.latency_ranks import with_latency_ranks
from mlcvbench.leaderboard.standing.ranking import rank
from mlcvbench.leaderboard.standing.rows import (
    BoardRow,
    StoredRun,
    Unranked,
    finite,
    learned_from,
    make_row,
    merge_seeds,
)
from mlcvbench.leaderboard.standing.superseding import drop_failed_attempts, replaced
from mlcvbench.records.doubts import decisive
from mlcvbench.records.schema import DatasetInfo, Metric, Record
from mlcvbench.registry import Registry, get_registry

UNRESOLVED = "0" * 64
EXTRA = "extra training data"
"""The class of what learned from more than the definition gives; it is ranked on a board of its own."""


@dataclass(frozen=True, slots=True)
class Board:
    """One table: rows in order, what is not ranked and why. `slug` is its file name; `metrics` the primary first.

    `beside`: the metrics that every table shows beside the primary, as the definition's `columns` says.
    """

    slug: str
    kind: str
    definition: str
    title: str
    protocol_id: str
    dataset: DatasetInfo | None
    metrics: dict[str, Metric]
    rows: tuple[BoardRow, ...]
    unranked: tuple[Unranked, ...]
    rank_method: str
    beside: tuple[str, ...] = ()

    @property
    def primary(self) -> str:
        """The metric the board is sorted by."""
        return next(iter(self.metrics), "")

    @property
    def hardware(self) -> list[tuple[str, str]]:
        """(env_class, label) of the rows with hardware, the one with most rows first."""
        counts = Counter((row.env_class, row.hardware) for row in self.rows if row.env_class)
        return sorted(counts, key=lambda pair: (-counts[pair], pair))

    @property
    def timed(self) -> list[BoardRow]:
        """The timed rows of the most common hardware, which the picture of the scatter shows."""
        machine = next((key for key, _ in self.hardware), "")
        return [row for row in self.rows if row.env_class == machine and row.costs["p50"].value is not None]

    @property
    def date(self) -> str:
        """The day of the newest record, ISO."""
        entries = [entry for row in self.rows for entry in row.runs] + [row.entry for row in self.unranked]
        return max((entry.record.created_utc for entry in entries), default="")[:10]


def boards_of(
    pairs: Iterable[tuple[Record, Path]],
    *,
    recomputed: Collection[str] = (),
    refuted: dict[str, str] | None = None,
) -> list[Board]:
    """Return the boards of some records, sorted by slug.

    `recomputed`: ids of the runs whose metrics were recomputed from their predictions and agreed; `refuted`: ids of
    those that did not agree, with the reason; they are never ranked.
    """
    entries = [
        StoredRun(_trusted(record, recomputed), folder)
        for record, folder in sorted(pairs, key=lambda pair: pair[0].run_id)
    ]
    entries = drop_failed_attempts(entries)
    groups: dict[tuple[str, str, str], list[StoredRun]] = defaultdict(list)
    for entry in entries:
        groups[_key(entry.record)].append(entry)
    _place_unfinished(groups)
    slugs = _slugs(groups)
    boards = [board for key, group in groups.items() for board in _classes(slugs[key], group, refuted or {})]
    return sorted(boards, key=lambda board: board.slug)


def _classes(slug: str, group: Sequence[StoredRun], refuted: dict[str, str]) -> list[Board]:
    """Return the board of a group, and beside it that of what learned from more data than the others."""
    label = config_labels([entry.record for entry in group])
    given = _most_given([entry.record for entry in group])
    usual = [entry for entry in group if not _learned_from_more(entry.record, given)]
    if len(usual) == len(group):
        return [_board(slug, group, refuted, label)]
    extra = [entry for entry in group if _learned_from_more(entry.record, given)]
    apart = _board(f"{slug}-{EXTRA.replace(' ', '-')}", extra, refuted, label)
    return [_board(slug, usual, refuted, label), replace(apart, title=f"{apart.title}, {EXTRA}")]


def _most_given(records: Iterable[Record]) -> int | None:
    """Return the most samples that a run could learn from on the definition's own data; None where none fitted."""
    own = (record for record in records if record.status == "ok" and not _other_data(record))
    return max(
        (n for r in own if r.model.weights.source == "fitted" and (n := learned_from(r)) is not None), default=None
    )


def _learned_from_more(record: Record, given: int | None) -> bool:
    """Return whether a run, or the run that its weights are of, learned from more samples, or from other data."""
    if given is None or record.status != "ok" or record.dataset is None:
        return False
    others = [name for name in record.model.weights.trained_on if name.partition("/")[0] != record.dataset.name]
    return bool(others) or (learned_from(record) or 0) > given


def _trusted(record: Record, recomputed: Collection[str]) -> Record:
    if record.run_id in recomputed and record.trust == "reported":
        return record.model_copy(update={"trust": "recomputed"})
    return record


def _key(record: Record) -> tuple[str, str, str]:
    fingerprint = record.dataset.fingerprint if record.dataset else UNRESOLVED
    return record.task.definition, record.task.protocol_id, fingerprint


def _place_unfinished(groups: dict[tuple[str, str, str], list[StoredRun]]) -> None:
    """Move runs that failed before reading data to their definition's largest board.

    A failed run is shown only beside complete ones on its own data: where no other run has them, or none were read, it
    says nothing about the methods on a board. Where the definition has no board yet, it is all there is to show.
    """
    whole = {key: sum(_is_whole(entry) for entry in group) for key, group in groups.items()}
    for key in [key for key, count in whole.items() if not count]:
        homes = [other for other, count in whole.items() if count and other[:2] == key[:2]]
        if homes:
            cut_short = [entry for entry in groups.pop(key) if entry.record.status == "ok"]
            groups[max(homes, key=lambda home: (whole[home], home))].extend(cut_short)
    for key, group in groups.items():
        if whole[key]:
            groups[key] = [entry for entry in group if not _could_not_work(entry.record)]


def _is_whole(entry: StoredRun) -> bool:
    return entry.record.status == "ok" and not entry.record.partial


def _could_not_work(record: Record) -> bool:
    """Return whether a run was refused because of its request or machine, not because of its method."""
    return record.error is not None and record.error.type in REFUSALS


def _slugs(groups: dict[tuple[str, str, str], list[StoredRun]]) -> dict[tuple[str, str, str], str]:
    """Name each board: by its definition where that one's data were used, else with the data set and a hash."""
    names = {key: key[0] if _own_data(group) else _long_name(key, group) for key, group in groups.items()}
    counts = Counter(names.values())
    return {key: name if counts[name] == 1 else _long_name(key, groups[key]) for key, name in names.items()}


def _own_data(group: Sequence[StoredRun]) -> bool:
    records = [entry.record for entry in group]
    return any(not record.config.get("data_seed") and not _other_data(record) for record in records)


def _other_data(record: Record) -> bool:
    """Return whether a request changed its data; a path says only where they are stored."""
    given = [str(key) for key in record.config.get("given") or ()]
    names = [key.removeprefix("data.") for key in given if key.startswith("data.")]
    return any(not _is_path(record, name) for name in names)


def _is_path(record: Record, name: str) -> bool:
    """Return whether a data setting is a path: by its type, or by its value where the data set is not installed.

    A record holds no path of the machine it was made on, so there it is null.
    """
    dataset = (record.config.get("definition") or {}).get("dataset") or (record.dataset.name if record.dataset else "")
    known = _types_of(get_registry(), dataset, record.task.kind).get(name)
    return known == "path" if known else (record.config.get("data_params") or {}).get(name, name) is None


@lru_cache(maxsize=64)
def _types_of(registry: Registry, dataset: str, kind: str) -> dict[str, str]:
    """Return the type of each setting of a data set, empty when it is not installed."""
    specs = [entry.spec for entry in registry.datasets(kind) if entry.spec.name == dataset]
    return {param.name: param.type for spec in specs for param in spec.params}


def _long_name(key: tuple[str, str, str], group: Sequence[StoredRun]) -> str:
    import hashlib

    names = sorted({entry.record.dataset.name for entry in group if entry.record.dataset})
    digest = hashlib.sha256("\n".join(key[1:]).encode()).hexdigest()[:8]
    return "-".join([key[0], *names[:1], digest])


def _board(slug: str, group: Sequence[StoredRun], refuted: dict[str, str], label: Callable[[Record], str]) -> Board:
    reference = _reference(group)
    older = replaced(entry.record for entry in group if entry.record.retraction is None)
    ranked: list[StoredRun] = []
    unranked: list[Unranked] = []
    for entry in group:
        record = entry.record
        reason = why_not_ranked(record, reference, refuted) or older.get(record.run_id)
        if reason is None:
            ranked.append(entry)
        else:
            unranked.append(Unranked(entry, label(record), reason, _state(record, older)))
    rows = with_latency_ranks([make_row(seeds, label(seeds[0].record)) for seeds in merge_seeds(ranked)])
    primary = reference.primary_metric or ""
    spec = reference.metrics.get(primary)
    metrics = {primary: spec, **reference.metrics} if spec else dict(reference.metrics)
    ordered, method = rank(rows, primary, spec.higher_is_better if spec else True) if rows else ([], "none")
    return Board(
        slug=slug,
        kind=reference.task.kind,
        definition=reference.task.definition,
        title=reference.task.title or reference.task.definition,
        protocol_id=reference.task.protocol_id,
        dataset=reference.dataset,
        metrics=metrics,
        rows=tuple(ordered),
        unranked=tuple(unranked),
        rank_method=method,
        beside=tuple(name for name in _columns(group) if name in metrics and name != primary),
    )


def _columns(group: Sequence[StoredRun]) -> Sequence[str]:
    """Return the columns that the newest run's definition asks for."""
    newest = max((entry.record for entry in group), key=lambda record: record.created_utc)
    columns: Sequence[str] = (newest.config.get("definition") or {}).get("columns", ())
    return columns


def _state(record: Record, older: Collection[str]) -> str:
    if record.retraction is not None:
        return "retracted"
    if record.status != "ok":
        return record.status
    return "replaced" if record.run_id in older else "not ranked"


def _reference(group: Sequence[StoredRun]) -> Record:
    """Return a representative record of the board: complete and ok, with the usual n and primary metric."""
    records = [entry.record for entry in group]
    whole = [record for record in records if record.status == "ok" and not record.partial] or records
    counts = Counter(_shape(record) for record in whole)
    usual = max(counts, key=lambda shape: (counts[shape], str(shape)))
    return next(record for record in whole if _shape(record) == usual)


def _shape(record: Record) -> tuple[int, str]:
    return (record.dataset.n if record.dataset else -1, record.primary_metric or "")


def why_not_ranked(record: Record, reference: Record, refuted: dict[str, str]) -> str | None:
    """Return why a record is never ranked, one sentence; None when it is ranked."""
    if record.retraction is not None:
        return f"retracted on {record.retraction.date}: {record.retraction.reason}"
    if record.status != "ok":
        error = record.error
        return f"{record.status} in {error.stage}: {error.message}" if error else record.status
    primary = record.metrics.get(record.primary_metric or "")
    dishonest = decisive(record)
    n = record.dataset.n if record.dataset else None
    wanted = reference.dataset.n if reference.dataset else None
    reasons = (
        (record.run_id in refuted, f"verification failed: {refuted.get(record.run_id)}"),
        (record.partial, "partial: only the first samples were scored (limit=)"),
        (not record.isolated, "not isolated: evaluated inside another process"),
        (record.contaminated is not None, f"contaminated: {record.contaminated}"),
        (dishonest is not None, str(dishonest)),
        (n != wanted, f"scored on {n} samples where the board has {wanted}"),
        (
            record.primary_metric != reference.primary_metric,
            f"its primary metric is {record.primary_metric}, the board's is {reference.primary_metric}",
        ),
        (primary is None or not finite(primary.value), "no finite value of the primary metric"),
    )
    return next((reason for holds, reason in reasons if holds), None)
