"""How an interval is printed: `±` only where it hides nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcvbench.leaderboard.standing.rows import Cell
from mlcvbench.leaderboard.tables.wording import score, spread


@pytest.mark.parametrize(
    ("cell", "unit", "shown"),
    [
        (Cell(1.0, 0.7151, 1.0), "fraction", "[71.51, 100.00]"),
        (Cell(0.0, 0.0, 0.2849), "fraction", "[0.00, 28.49]"),
        (Cell(0.95, 0.94, 0.96), "fraction", "±1.00"),
        (Cell(0.95, 0.94, 0.96005), "fraction", "±1.00"),
        (Cell(0.95, 0.94, 0.9602), "fraction", "[94.00, 96.02]"),
        (Cell(2.345, 1.876, 3.012), "px", "[1.876, 3.012]"),
        (Cell(2.345, 2.245, 2.445), "px", "±0.100"),
        (Cell(0.31, 0.29, 0.33), "nat", "±0.0200"),
        (Cell(0.0, 0.0, 0.4), "px", "[0.0000, 0.4000]"),
        (Cell(0.95, None, 0.96), "fraction", ""),
        (Cell(None, 0.1, 0.2), "fraction", ""),
        (Cell(0.00579, 0.000474, 0.216), "s", "[0.474, 216]"),
        (Cell(0.002, 0.00198, 0.00202), "s", "±1%"),
        (Cell(0.002, 0.002, 0.002), "s", "±1%"),
        (Cell(0.002, 0.0019, 0.00201), "s", "±5%"),
        (Cell(0.002, 0.00199, 0.0022), "s", "[1.99, 2.20]"),
    ],
)
def test_an_interval_is_printed_as_it_is(cell, unit, shown):
    assert spread(cell, unit) == shown


@given(value=st.floats(0, 1), below=st.floats(0, 1), above=st.floats(0, 1))
def test_a_reader_who_adds_and_subtracts_gets_the_ends(value, below, above):
    cell = Cell(value, value * (1 - below), value + (1 - value) * above)

    shown = spread(cell, "fraction")

    if shown.startswith("±"):
        half = float(shown[1:])
        ends = float(score(value, "fraction")) - half, float(score(value, "fraction")) + half
    else:
        ends = tuple(map(float, re.findall(r"[\d.]+", shown)))
    assert ends == pytest.approx((100 * cell.low, 100 * cell.high), abs=0.016)  # half a digit each of three roundings


@given(value=st.floats(1e-6, 1e3), below=st.floats(0, 0.3), above=st.floats(0, 0.3))
def test_the_percentage_of_a_time_reaches_both_its_ends(value, below, above):
    cell = Cell(value, value * (1 - below), value * (1 + above))

    shown = spread(cell, "s")

    if shown.startswith("±"):
        assert float(shown[1:-1]) >= 100 * max(below, above) - 1e-3
