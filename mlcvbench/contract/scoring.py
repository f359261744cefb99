"""Scoring: a scorer turns predictions into a table of rows, and the table, with weights, into metric values.

This one form allows streaming, sharding, bootstrap intervals, drill-down and re-scoring.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mlcvbench.contract.batch import Array, Predictions, Targets
from mlcvbench.contract.notices import Notice
from mlcvbench.errors import UnknownNameError


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One number a scorer gives. `unit` is `fraction`, `nat`, `px`, `m` or `1`; `provenance` says how exact it is:

    `reference-identical`, `reference-tolerance` or `extension`.
    """

    name: str
    summary: str
    unit: str = "fraction"
    higher_is_better: bool = True
    provenance: str = "reference-identical"


@dataclass(frozen=True, slots=True)
class Table:
    """Named columns of equal length with an integer `unit` column: the index of the sample (or pair) of each row.

    Rows may be ragged over units (one row per detection). `rank` orders rows inside a unit when present.
    """

    columns: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.columns["unit"])

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    @staticmethod
    def concatenate(tables: Sequence[Table]) -> Table:
        """Join tables and sort them by (unit, rank), so that any sharding gives the same table."""
        first, *others = tables
        columns = first.columns
        if others:
            columns = {name: np.concatenate([table[name] for table in tables]) for name in first.columns}
        unit, rank = columns["unit"], columns.get("rank")
        in_order = unit[:-1] <= unit[1:]
        if rank is not None:
            in_order &= (unit[:-1] < unit[1:]) | (rank[:-1] <= rank[1:])
        if in_order.all():
            return Table(columns)
        order = np.lexsort([unit] if rank is None else [rank, unit])
        return Table({name: column[order] for name, column in columns.items()})


Values = dict[str, float | None]
REPLICATES = 1_000
"""Bootstrap replicates of a record, unless its scorer says otherwise."""


class Scorer(ABC):
    """One protocol of a task kind. `metrics` lists what it gives, the primary metric first.

    `whole_columns`: `rows` gets the columns of the whole split with the units of a shard (samples are compared with
    each other), instead of the shard's part of the columns. `engines`: other implementations that `by_engine` runs on
    the same predictions, the default first.
    """

    protocol_id: str
    metrics: tuple[MetricSpec, ...]
    whole_columns: ClassVar[bool] = False
    engines: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def rows(self, predictions: Predictions, targets: Targets, units: Array) -> Table:
        """Return the rows of some samples; `units` (B,) are their indices in the split, rising.

        A row must not depend on which other units are asked for: any number of shards gives the same table.
        """

    @abstractmethod
    def summarise(self, table: Table, weights: Array | None = None) -> Values:
        """Return every metric. `weights`: float64 (U,), one per unit (None: all 1). A value of None is undefined."""

    def summarise_many(self, table: Table, weights: Array) -> dict[str, Array]:
        """Return every metric under each row of `weights` (R, U) as float64 (R,), NaN where undefined."""
        values = [self.summarise(table, row) for row in weights]
        return {
            metric.name: np.array(
                [np.nan if v[metric.name] is None else v[metric.name] for v in values], dtype=np.float64
            )
            for metric in self.metrics
        }

    def by_counts(self, table: Table, group_of: Array | None = None) -> Callable[[Array], dict[str, Array]] | None:
        """Return a replacement for `summarise_many` that takes whole-number weights of any dtype; None by default.

        For a scorer that computes once what is the same for all weights, such as sums over the units of a group:
        weights are those of groups (R, G), and `group_of` (U,) is the group of each unit, None = each unit is its own.
        The values for a row of weights must not depend on which rows it is given with: blocks of rows are computed in
        parallel.
        """
        return None

    def undefined(self, table: Table) -> dict[str, str]:
        """Return the metrics that these rows leave undefined, each with the reason; none by default."""
        return {}

    def notices(self, table: Table) -> Sequence[Notice]:
        """Return notices about the rows of a whole split: what is valid but probably not intended; none by default."""
        return ()

    def unit_groups(self, groups: Array, targets: Targets) -> Array:
        """Return the bootstrap group of each unit; by default a unit is a sample."""
        return groups

    def replicate_count(self, table: Table) -> int:
        """Return how many bootstrap replicates a record of these rows holds."""
        return REPLICATES

    def reference(self, predictions: Predictions, targets: Targets) -> Values | None:
        """Return the official engine's values when it, not `summarise`, gives the headline; None otherwise."""
        return None

    def by_engine(self, name: str, predictions: Predictions, targets: Targets) -> Values:
        """Return every metric as computed by the implementation `name`, one of `engines`; UnknownNameError for
        others.
        """
        raise UnknownNameError("engine", name, self.engines)

    def primary(self) -> MetricSpec:
        """Return the metric a board is sorted by."""
        return self.metrics[0]

    def metric(self, name: str) -> MetricSpec:
        """Return the metric of that name; UnknownNameError when there is none."""
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise UnknownNameError("metric", name, iter_names(self.metrics))


class VectorizedScorer(Scorer):
    """A scorer that computes all weightings at once; a single weighting gives the same numbers bit for bit."""

    def summarise(self, table: Table, weights: Array | None = None) -> Values:
        size = int(table["unit"].max()) + 1 if len(table) else 0
        row = np.ones(size) if weights is None else np.asarray(weights, dtype=np.float64)
        many = self.summarise_many(table, row[None])
        return {name: None if np.isnan(values[0]) else float(values[0]) for name, values in many.items()}

    @abstractmethod
    def summarise_many(self, table: Table, weights: Array) -> dict[str, Array]:
        """Return every metric under each row of `weights` (R, U) as float64 (R,), NaN where undefined."""


def iter_names(metrics: Iterable[MetricSpec]) -> tuple[str, ...]:
    """Return metric names in order."""
    return tuple(metric.name for metric in metrics)
