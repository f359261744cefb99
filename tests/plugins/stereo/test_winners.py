"""The best level, the checks and what lies between levels, against plain loops and OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mlcvbench_stereo.winners import HOLE, STEPS, filled, median3, winners


def one_pixel(costs, **checks):
    """Return the disparity of a pixel with these costs, beside pixels that match at 0."""
    row = np.full((len(costs), 1, 9), 90, np.int16)
    row[0] = 0
    row[:, 0, 8] = costs
    return int(winners(row, **{"uniqueness": 0, "consistency": -1, **checks})[0, 8])


def test_the_least_cost_wins_and_of_equal_ones_the_smallest_disparity():
    assert one_pixel([30, 20, 10, 20, 30]) == 2 * STEPS
    assert one_pixel([9, 30, 30, 9, 30]) == 0


def test_between_levels_it_lies_at_the_minimum_of_the_parabola():
    costs = [round(16 * (d - 2.25) ** 2) + 12 for d in range(5)]

    assert one_pixel(costs) == 36  # 2.25 x 16


def test_a_rival_that_is_no_neighbour_makes_a_match_untrusted():
    assert one_pixel([50, 50, 10, 50, 11], uniqueness=10) == HOLE
    assert one_pixel([50, 50, 10, 50, 12], uniqueness=10) > 0
    assert one_pixel([50, 50, 10, 10, 50], uniqueness=10) > 0


def plain_consistency(best, least, allowed):
    height, width = best.shape
    owner = {}
    for y in range(height):
        for x in range(width - 1, -1, -1):
            there = y, x - best[y, x]
            if there not in owner or least[y, x] < owner[there][0]:
                owner[there] = least[y, x], best[y, x]
    return np.array(
        [[abs(owner[y, x - best[y, x]][1] - best[y, x]) > allowed for x in range(width)] for y in range(height)]
    )


@pytest.mark.parametrize("allowed", [0, 1, 3])
def test_a_match_that_another_one_takes_at_less_cost_is_not_trusted(allowed):
    levels, height, width = 8, 6, 40
    best = np.random.default_rng(0).integers(0, levels, (height, width))
    least = np.random.default_rng(1).integers(0, 50, (height, width))
    costs = np.full((levels, height, width), 100, np.int16)
    np.put_along_axis(costs, best[None], least[None].astype(np.int16), 0)  # no parabola: both neighbours cost 100

    found = winners(costs, 0, allowed)

    assert np.array_equal(found == HOLE, plain_consistency(best, least, allowed))


def test_the_median_is_opencvs():
    maps = np.random.default_rng(0).integers(-16, 500, (23, 31)).astype(np.int16)

    assert np.array_equal(median3(maps), cv2.medianBlur(maps, 3))


def test_holes_take_the_smaller_disparity_beside_them_and_empty_rows_the_nearest_row():
    maps = np.int16([[HOLE, HOLE, HOLE, HOLE], [HOLE, 40, HOLE, 20], [30, HOLE, HOLE, HOLE]])

    assert filled(maps).tolist() == [[40, 40, 20, 20], [40, 40, 20, 20], [30, 30, 30, 30]]
    assert not filled(np.full((2, 3), HOLE)).any()
