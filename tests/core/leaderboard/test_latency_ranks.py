"""Latency ranks: from the medians of several processes, against rows of the same hardware only."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ttest_ind
from support.records import make_record, write_runs

from mlcvbench.leaderboard.build import read_boards
from mlcvbench.leaderboard.standing.latency_ranks import NOT_TIMED_SO, rank_ranges


def timed(name, medians, **changes):
    """Return a record timed in several processes, or in one when there are no medians."""
    record = make_record(name, **changes)
    stage = record.latency["end_to_end"].model_copy(
        update={"process_medians": tuple(medians), "processes": max(1, len(medians))}
    )
    return record.model_copy(update={"latency": {**record.latency, "end_to_end": stage}})


def ranks(tmp_path, records):
    """Return (low, high) of the latency rank by model, or the reason why there is none."""
    (board,) = read_boards(write_runs(tmp_path / "runs", records))[0]
    cells = {row.model: row.costs["latency_rank"] for row in board.rows}
    return {name: (cell.low, cell.high) if cell.value else cell.reason for name, cell in cells.items()}


def test_rows_that_processes_cannot_tell_apart_share_their_ranks(tmp_path):
    near, far = [1.00e-3, 1.04e-3, 0.97e-3, 1.01e-3, 0.99e-3], [2.0e-3, 2.1e-3, 2.05e-3, 1.95e-3, 2.02e-3]

    found = ranks(tmp_path, [timed("a", near), timed("b", [m * 1.01 for m in reversed(near)]), timed("c", far)])

    assert found == {"a": (1, 2), "b": (1, 2), "c": (3, 3)}


def test_rows_timed_within_one_process_take_no_part(tmp_path):
    found = ranks(tmp_path, [timed("a", [1e-3, 1.1e-3, 1.05e-3]), timed("b", [])])

    assert found == {"a": (1, 1), "b": NOT_TIMED_SO}


def test_other_hardware_is_no_rival(tmp_path):
    fast, slow = [1e-3, 1.01e-3, 1.02e-3], [9e-3, 9.1e-3, 9.2e-3]

    found = ranks(tmp_path, [timed("a", fast, hardware="Fast CPU"), timed("b", slow, hardware="Slow CPU")])

    assert found == {"a": (1, 1), "b": (1, 1)}


@pytest.mark.parametrize("seed", range(8))
def test_two_rows_are_parted_exactly_when_welchs_test_says_so(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(0, 1, 5), rng.normal(1.7, rng.uniform(0.2, 2), 5)

    parted = rank_ranges([list(a), list(b)])[0] == (1, 1)

    assert parted == (ttest_ind(a, b, equal_var=False).pvalue < 0.05 and a.mean() < b.mean())


def test_equal_rows_are_parted_rarely_all_together():
    rng = np.random.default_rng(0)
    wrong = sum(
        any(pair != (1, 8) for pair in rank_ranges(rng.normal(math.log(1e-3), 0.05, (8, 5)).tolist()))
        for _ in range(300)
    )

    assert wrong / 300 < 0.08
