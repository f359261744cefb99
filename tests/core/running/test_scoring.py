"""Scoring by any scorer: shards, whole columns, how many replicates, and a reference engine of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest

from mlcvbench.contract import Array, ArraySplit, MetricSpec, Predictions, Scorer, Table, Targets, Values
from mlcvbench.errors import UnknownNameError
from mlcvbench.running import scoring
from mlcvbench.stats import bootstrap


class MeanScorer(Scorer):
    """The mean of one number a sample; remembers how many rows of the columns it was given."""

    protocol_id = "mean/test@1"
    metrics = (MetricSpec("mean", "mean value", "1"),)

    def __init__(self) -> None:
        self.seen: list[tuple[int, list[int]]] = []

    def rows(self, predictions: Predictions, targets: Targets, units: Array) -> Table:
        self.seen.append((len(predictions["value"]), units.tolist()))
        values = predictions["value"][units] if self.whole_columns else predictions["value"]
        return Table({"unit": units, "value": values})

    def summarise(self, table: Table, weights: Array | None = None) -> Values:
        return {"mean": float(np.average(table["value"], weights=None if weights is None else weights[table["unit"]]))}


class WholeScorer(MeanScorer):
    whole_columns: ClassVar[bool] = True


class FewScorer(MeanScorer):
    def replicate_count(self, table: Table) -> int:
        return 17 * len(table)


class OfficialScorer(MeanScorer):
    engines: ClassVar[tuple[str, ...]] = ("theirs",)
    official: float | None = 4.5

    def reference(self, predictions: Predictions, targets: Targets) -> Values | None:
        return {"mean": self.official}


def columns(count: int) -> Predictions:
    return {"value": np.arange(float(count))}


def split(count: int) -> ArraySplit:
    return ArraySplit("test", {"image": np.zeros((count, 2, 2), np.uint8)}, {"label": np.zeros(count, np.int64)})


@pytest.mark.parametrize("shards", [1, 2, 7, 50])
def test_a_shard_gets_its_part_of_the_columns(shards: int) -> None:
    scorer = MeanScorer()

    table = scoring.tabulate(scorer, columns(10), {}, 10, shards=shards)

    assert table["value"].tolist() == list(range(10))
    assert len(scorer.seen) == min(shards, 10)
    assert all(rows == len(units) for rows, units in scorer.seen)


@pytest.mark.parametrize("shards", [1, 2, 7, 50])
def test_a_scorer_that_compares_samples_gets_whole_columns_and_its_units(shards: int) -> None:
    scorer = WholeScorer()

    table = scoring.tabulate(scorer, columns(10), {}, 10, shards=shards)

    assert table["value"].tolist() == list(range(10))
    assert all(rows == 10 for rows, _ in scorer.seen)
    assert _joined([units for _, units in scorer.seen]) == list(range(10))


def test_the_scorer_says_how_many_replicates_are_drawn_and_the_record_says_so() -> None:
    scored = scoring.with_replicates(scoring.score(FewScorer(), columns(10), split(10)), split(10))

    assert len(scored.replicates["mean"]) == 170
    assert scoring.interval_info(scored)["replicates"] == 170


def test_a_thousand_replicates_are_drawn_unless_the_scorer_says_otherwise() -> None:
    scored = scoring.with_replicates(scoring.score(MeanScorer(), columns(10), split(10)), split(10))

    assert len(scored.replicates["mean"]) == bootstrap.REPLICATES == 1000
    assert scoring.interval_info(scored)["replicates"] == 1000


def test_the_record_says_in_how_many_bundles_many_groups_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = scoring.with_replicates(scoring.score(MeanScorer(), columns(10), split(10)), split(10))
    assert "bundles" not in scoring.interval_info(alone)

    monkeypatch.setattr(bootstrap, "MOST_GROUPS", 9)
    monkeypatch.setattr(bootstrap, "BUNDLES", 4)
    bundled = scoring.with_replicates(scoring.score(MeanScorer(), columns(10), split(10)), split(10))

    assert scoring.interval_info(bundled) == {**scoring.interval_info(alone), "bundles": 4}
    assert scoring.interval_info(bundled)["groups"] == 10


def test_without_rows_a_reference_engine_gives_the_value_alone() -> None:
    scorer = OfficialScorer()

    scored = scoring.score(scorer, columns(10), split(10), with_rows=False)

    assert (scored.values, scored.table, scorer.seen) == ({"mean": 4.5}, None, [])


def test_a_scorer_without_reference_makes_rows_in_any_case() -> None:
    scored = scoring.score(MeanScorer(), columns(10), split(10), with_rows=False)

    assert scored.table is not None
    assert scored.values == {"mean": 4.5}


def test_a_value_in_dispute_has_no_interval_and_says_why() -> None:
    scorer = OfficialScorer()
    scorer.official = 5.0

    metric = scoring.with_replicates(scoring.score(scorer, columns(10), split(10)), split(10)).metrics()["mean"]

    assert (metric.value, metric.low, metric.high) == (5.0, None, None)
    assert metric.reason == "the scorer's own value differs from the reference engine's, so no interval is given"


def test_a_scorer_without_other_engines_knows_none() -> None:
    with pytest.raises(UnknownNameError) as caught:
        MeanScorer().by_engine("theirs", columns(3), {})

    assert str(caught.value) == "unknown engine 'theirs'."


def _joined(parts: Sequence[list[int]]) -> list[int]:
    return [unit for part in parts for unit in part]
