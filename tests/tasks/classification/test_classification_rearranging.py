"""Rows and columns put in order: what comes out, and that scores are not held twice."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from mlcvbench_classification import rearranging
from mlcvbench_classification.rearranging import with_columns, with_rows


def numbers(rows: int, columns: int) -> np.ndarray:
    return np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)


@pytest.mark.parametrize("columns", [[0, 1, 2], [2, 0, 1]])
def test_columns_come_in_the_order_that_is_asked_for(monkeypatch: pytest.MonkeyPatch, columns: list[int]) -> None:
    monkeypatch.setattr(rearranging, "BLOCK", 6)

    found = with_columns(numbers(5, 3), np.array(columns))

    assert np.array_equal(found, numbers(5, 3)[:, columns])


@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [3, 1, 0, 2], [2, 0], [0, 1]])
@pytest.mark.parametrize("width", [1, 40])
def test_rows_come_in_the_order_that_is_asked_for(rows: list[int], width: int) -> None:
    found = with_rows(numbers(4, width), np.array(rows))

    assert np.array_equal(found, numbers(4, width)[rows])


def test_labels_come_in_the_order_that_is_asked_for() -> None:
    assert with_rows(np.array([7, 8, 9]), np.array([2, 0, 1])).tolist() == [9, 7, 8]


def test_scores_in_another_order_are_not_held_twice() -> None:
    values, rows = numbers(20_000, 200), np.random.default_rng(0).permutation(20_000)
    columns = np.arange(200)[::-1]
    tracemalloc.start()

    with_columns(with_rows(values, rows), columns)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < values.nbytes / 2
