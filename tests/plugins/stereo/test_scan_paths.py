"""Sums over paths are those of the recursion, followed pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench_stereo.scan_paths import DIRECTIONS, Penalties, largest_sum, path_sums

LEVELS, HEIGHT, WIDTH = 6, 7, 9
DRAWN = np.random.default_rng(0)
COSTS = DRAWN.integers(0, 100, (LEVELS, HEIGHT, WIDTH)).astype(np.int16)
GUIDE = DRAWN.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)


def path_cost(direction, penalties):
    """Return L_r of Hirschmüller's equation 13, one pixel after the other."""
    found = np.zeros(COSTS.shape, int)
    rows = range(HEIGHT) if direction.down >= 0 else range(HEIGHT - 1, -1, -1)
    columns = range(WIDTH) if direction.right >= 0 else range(WIDTH - 1, -1, -1)
    for y in rows:
        for x in columns:
            before = y - direction.down, x - direction.right
            if not (0 <= before[0] < HEIGHT and 0 <= before[1] < WIDTH):
                found[:, y, x] = COSTS[:, y, x]
                continue
            last, large = found[:, before[0], before[1]], penalties.large
            if penalties.edges:
                step = abs(int(GUIDE[y, x]) - int(GUIDE[before]))
                large = max(int(penalties.large / (1 + step / penalties.edges)), penalties.small + 1)
            for d in range(LEVELS):
                near = [last[k] + penalties.small for k in (d - 1, d + 1) if 0 <= k < LEVELS]
                found[d, y, x] = COSTS[d, y, x] + min(last[d], *near, last.min() + large) - last.min()
    return found


@pytest.mark.parametrize("edges", [0.0, 12.0])
@pytest.mark.parametrize("mode", DIRECTIONS)
def test_sums_over_paths_are_those_of_the_recursion(mode, edges):
    penalties = Penalties(7, 30, edges)

    sums = path_sums(COSTS, DIRECTIONS[mode], penalties, GUIDE)

    expected = sum(path_cost(direction, penalties) for direction in DIRECTIONS[mode])
    assert np.array_equal(sums, expected)
    assert sums.max() <= largest_sum(int(COSTS.max()), len(DIRECTIONS[mode]), penalties)


def test_the_modes_have_three_to_eight_directions():
    assert {mode: len(set(ways)) for mode, ways in DIRECTIONS.items()} == {"3way": 3, "hh4": 4, "sgbm": 5, "hh": 8}


def test_p2_falls_where_the_intensity_steps_and_stays_above_p1():
    flat, step = np.zeros((2, 1, 6), np.uint8)
    step[0, 3:] = 255
    costs = np.full((4, 1, 6), 20, np.int16)
    costs[0, 0, :3] = costs[3, 0, 3:] = 0

    same, seen = (path_sums(costs, DIRECTIONS["3way"][:1], Penalties(1, 15, 10.0), guide) for guide in (flat, step))

    assert same[3, 0, 3] == 15
    assert seen[3, 0, 3] == 2  # P1 + 1
