"""Costs of pixels are those of plain loops over their definitions, and windows sum them."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench_stereo.cost_volume import window_costs, window_sums
from mlcvbench_stereo.pixel_costs import COSTS, SLOPES

LEVELS = 8
SHAPE = (12, 30)


def pair(channels):
    return np.random.default_rng(0).integers(0, 256, (2, channels, *SHAPE), dtype=np.uint8)


def clamped(image, y, x):
    return int(image[min(max(y, 0), SHAPE[0] - 1), min(max(x, 0), SHAPE[1] - 1)])


def absolute(left, right, y, x, d):
    return abs(int(left[y, x]) - int(right[y, x - d]))


def bits(image, y, x):
    window = [(y + down, x + across) for down in range(-2, 3) for across in range(-2, 3) if (down, across) != (0, 0)]
    return [clamped(image, *place) < int(image[y, x]) for place in window]


def census(left, right, y, x, d):
    return sum(a != b for a, b in zip(bits(left, y, x), bits(right, y, x - d), strict=True))


def slope(image, y, x):
    if x in (0, SHAPE[1] - 1):
        return SLOPES
    rows = sum(
        weight * (clamped(image, y + down, x + 1) - clamped(image, y + down, x - 1))
        for down, weight in ((-1, 1), (0, 2), (1, 1))
    )
    return min(max(rows, -SLOPES), SLOPES) + SLOPES


def level(image, y, x):
    return SLOPES if x in (0, SHAPE[1] - 1) else int(image[y, x])


def outside(value, line, x):
    around = [line[x], (line[x] + line[max(x - 1, 0)]) // 2, (line[x] + line[min(x + 1, SHAPE[1] - 1)]) // 2]
    return max(0, value - max(around), min(around) - value)


def birchfield(left, right, y, x, d):
    total = 0
    for measure, divisor in ((slope, 1), (level, 4)):
        one, two = ([measure(image, y, place) for place in range(SHAPE[1])] for image in (left, right))
        total += min(outside(one[x], two, x - d), outside(two[x - d], one, x)) // divisor
    return total


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("name", "plain"), [("sad", absolute), ("census", census), ("birchfield", birchfield)])
def test_costs_are_those_of_plain_loops(name, plain, channels):
    left, right = pair(channels)
    cost = COSTS[name](left, right, LEVELS)

    for d in (0, 3, LEVELS - 1):
        found = cost.at(d, 2, 9)
        expected = [
            [sum(plain(*views, y, x, d) for views in zip(left, right, strict=True)) for x in range(LEVELS, SHAPE[1])]
            for y in range(2, 9)
        ]
        assert found.tolist() == expected
        assert found.max() <= cost.largest


@pytest.mark.parametrize("block", [1, 3, 5, 7])
def test_windows_sum_costs_and_repeat_them_beyond_the_border(block, monkeypatch):
    left, right = pair(1)
    cost = COSTS["sad"](left, right, LEVELS)
    monkeypatch.setattr("mlcvbench_stereo.cost_volume.STRIP", 5 * SHAPE[1])  # strips of five rows

    volume = window_costs(cost, block, np.int16)

    single = np.stack([cost.at(d, 0, SHAPE[0]) for d in range(LEVELS)]).astype(int)
    wide = np.pad(single, ((0, 0), (block // 2,) * 2, (block // 2,) * 2), mode="edge")
    expected = np.lib.stride_tricks.sliding_window_view(wide, (block, block), (1, 2)).sum((3, 4))
    assert np.array_equal(volume, expected)


@pytest.mark.parametrize("size", range(1, 12))
def test_sums_of_neighbours_are_those_of_a_convolution(size):
    values = np.arange(20) ** 2

    assert window_sums(values, size).tolist() == np.convolve(values, np.ones(size, int), "valid").tolist()
