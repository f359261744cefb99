"""The scoring of a run: table, headline values, replicates. One path for runs, outside files and rescoring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mlcvbench.contract import Array, Predictions, Scorer, Split, Table, Targets, Values
from mlcvbench.contract.batch import take
from mlcvbench.files.arrow import load_pyarrow
from mlcvbench.files.npz import write_npz
from mlcvbench.records.schema import Metric
from mlcvbench.stats import bootstrap, intervals

ROWS_FILE = "rows.parquet"
DISAGREES = "the scorer's own value differs from the reference engine's, so no interval is given"


@dataclass(frozen=True, slots=True)
class Scored:
    """Predictions scored: every unit's rows, the headline values, and the replicates once they are drawn.

    `table`: None when only the official engine was run. `disputed`: metrics whose table value differs from the
    reference engine's, which is the headline. `groups`: how many groups the `drawn` replicates resample, in how many
    `bundles`, None where each is drawn by itself.
    """

    scorer: Scorer
    table: Table | None
    targets: Targets
    values: Values
    disputed: frozenset[str] = frozenset()
    replicates: Mapping[str, Array] = field(default_factory=dict)
    groups: int = 0
    bundles: int | None = None
    drawn: int = 0

    def metrics(self) -> dict[str, Metric]:
        """Return the record's metrics, with intervals where replicates are drawn and the value is not disputed."""
        reasons = {} if self.table is None else self.scorer.undefined(self.table)
        metrics = {}
        for spec in self.scorer.metrics:
            value = self.values[spec.name]
            low = high = None
            if spec.name in self.replicates:
                draws, fraction = self.replicates[spec.name], spec.unit == "fraction"
                low, high = intervals.interval(value, draws, self.groups, fraction=fraction)
            metrics[spec.name] = Metric(
                value=value,
                low=low,
                high=high,
                unit=spec.unit,
                higher_is_better=spec.higher_is_better,
                provenance=spec.provenance,
                reason=self._reason(spec.name, value, reasons),
            )
        return metrics

    def _reason(self, name: str, value: float | None, reasons: Mapping[str, str]) -> str | None:
        if value is None:
            return reasons.get(name, "undefined for these data")
        return DISAGREES if name in self.disputed else None


def score(scorer: Scorer, predictions: Predictions, split: Split, *, shards: int = 1, with_rows: bool = True) -> Scored:
    """Score predictions for a whole split; any number of shards gives the same bits.

    `with_rows`: whether rows are wanted, as for replicates. Without them an official engine computes only the values,
    as rows would be a second scoring; rows are still made to explain an undefined value, and where there is no engine.
    """
    targets = split.targets()
    official = scorer.reference(predictions, targets)
    if official is not None and not with_rows and None not in official.values():
        return Scored(scorer, None, targets, official)
    table = tabulate(scorer, predictions, targets, len(split), shards=shards)
    values = scorer.summarise(table)
    if official is None:
        return Scored(scorer, table, targets, values)
    disputed = frozenset(name for name, value in official.items() if values[name] != value)
    return Scored(scorer, table, targets, {**values, **official}, disputed)


def with_replicates(scored: Scored, split: Split, fingerprint: str | None = None) -> Scored:
    """Draw the bootstrap replicates, seeded by data and protocol, so that boards can subtract them.

    `fingerprint`: that of `split`, where it is known.
    """
    scorer, table = scored.scorer, _rows_of(scored)
    groups = scorer.unit_groups(split.groups, scored.targets)
    count = scorer.replicate_count(table)
    shared = bootstrap.shared_replicates(scorer, table, groups, fingerprint or split.fingerprint(), count)
    kept = {name: values for name, values in shared.replicates.items() if name not in scored.disputed}
    return replace(scored, replicates=kept, groups=shared.groups, bundles=shared.bundles, drawn=count)


def interval_info(scored: Scored) -> dict[str, Any]:
    """Return how the record's intervals were made; `bundles` only where groups were drawn in bundles."""
    return {
        "method": intervals.METHOD,
        "level": intervals.LEVEL,
        "replicates": scored.drawn,
        "groups": scored.groups,
    } | ({} if scored.bundles is None else {"bundles": scored.bundles})


def write_scored(scored: Scored, folder: Path) -> None:
    """Write the rows as parquet and the replicates as npz, each when there are any; equal scores give equal bytes."""
    if scored.table is None:
        return
    pa = load_pyarrow()
    from pyarrow import parquet

    columns = {name: _arrow(column) for name, column in scored.table.columns.items()}
    parquet.write_table(pa.table(columns), folder / ROWS_FILE)
    if scored.replicates:
        write_npz(folder / bootstrap.REPLICATES_FILE, dict(scored.replicates))


def tabulate(scorer: Scorer, predictions: Predictions, targets: Targets, count: int, *, shards: int = 1) -> Table:
    """Return the sorted rows of all `count` samples, the same for any number of shards."""
    tables = []
    for units in np.array_split(np.arange(count), max(1, min(shards, count))):
        if scorer.whole_columns or len(units) == count:
            tables.append(scorer.rows(predictions, targets, units))
            continue
        part = {name: take(column, units) for name, column in predictions.items()}
        tables.append(scorer.rows(part, {name: take(column, units) for name, column in targets.items()}, units))
    return Table.concatenate(tables)


def _rows_of(scored: Scored) -> Table:
    if scored.table is None:
        raise ValueError("replicates are drawn from rows; score with_rows.")
    return scored.table


def _arrow(column: Array) -> Any:
    """Return a flat column of numbers as a pyarrow array; `pa.array` would import pandas, which takes a second per
    run.
    """
    import pyarrow as pa

    plain = np.ascontiguousarray(column)
    if plain.ndim != 1 or plain.dtype.kind not in "biuf":
        return pa.array(column)
    data = np.packbits(plain, bitorder="little") if plain.dtype.kind == "b" else plain
    return pa.Array.from_buffers(pa.from_numpy_dtype(plain.dtype), len(plain), [None, pa.py_buffer(data)])
