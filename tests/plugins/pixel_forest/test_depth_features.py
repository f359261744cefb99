"""Differences of depth are Shotton's formula, pixel by pixel, and do not change when the body moves away."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlcvbench_pixel_forest.depth_features import BLOCK, NOWHERE, depth_differences, draw_offsets, measured


def formula(depth, place, offsets):
    """f = D(p + u / D(p)) - D(p + v / D(p)), one feature and one pixel at a time."""
    height, width = depth.shape
    row, column = divmod(place, width)

    def probe(offset):
        r = row + math.floor(np.float32(offset[0]) * (np.float32(1) / depth[row, column]) + np.float32(0.5))
        c = column + math.floor(np.float32(offset[1]) * (np.float32(1) / depth[row, column]) + np.float32(0.5))
        inside = 0 <= r < height and 0 <= c < width
        return depth[r, c] if inside and depth[r, c] > 0 else NOWHERE

    return [probe(u) - probe(v) for u, v in offsets]


def test_features_are_the_formula_one_pixel_at_a_time():
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.5, 4, (13, 17)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.3] = 0
    places = np.flatnonzero(depth)
    offsets = draw_offsets(2 * BLOCK + 3, 12.0, rng)

    found = depth_differences(depth, places, offsets)

    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.T, np.array([formula(depth, place, offsets) for place in places], np.float32))
    assert (np.abs(found) > 100).any()
    assert ((np.abs(found) < 4) & (found != 0)).any()


@pytest.mark.parametrize("offset", [(0, -9), (0, 9), (-9, 0), (9, 0), (1e9, 0), (0, -1e9)])
def test_a_point_outside_the_image_is_nowhere(offset):
    depth = np.full((3, 3), 1.0, np.float32)

    found = depth_differences(depth, np.array([4]), np.array([[offset, (0, 0)]], np.float32))

    assert found.tolist() == [[999.0]]


def test_two_points_that_are_both_nowhere_do_not_differ():
    depth = np.zeros((3, 3), np.float32)
    depth[1, 1] = 2.0

    assert depth_differences(depth, np.array([4]), np.array([[(2, 0), (0, 2)]], np.float32)).tolist() == [[0.0]]


def body_at(distance, side=120):
    """A head and a trunk with a nose of 0.25 m, as a camera with a focal length of `side` pixels sees them."""
    focal = float(side)
    row, column = (np.mgrid[:side, :side] - side // 2) * (distance / focal)  # metres at the body's plane
    trunk = (np.abs(column) < 0.2) & (row > 0) & (row < 0.4)
    head = (np.abs(column) < 0.1) & (row > -0.2) & (row <= 0)
    nose = (np.abs(column) < 0.04) & (np.abs(row + 0.1) < 0.04)
    return np.where(trunk | head, np.where(nose, distance - 0.25, distance), 0).astype(np.float32)


def test_the_same_body_further_away_has_the_same_features():
    near, far = body_at(1.0), body_at(2.0)
    offsets = draw_offsets(300, 60.0, np.random.default_rng(3))
    place_near, place_far = (60 + 24) * 120 + 60, (60 + 12) * 120 + 60  # 0.2 m below the middle in both

    a = depth_differences(near, np.array([place_near]), offsets)[:, 0]
    b = depth_differences(far, np.array([place_far]), offsets)[:, 0]

    same = np.abs(a - b) <= 1.01  # against what is nowhere, the differences differ by the metre of the move
    assert same.mean() > 0.9  # the rest meet a border, which falls between other pixels
    on_body = (np.abs(a) < 100) & (np.abs(b) < 100)
    assert (np.abs(a - b)[on_body] < 1e-6).mean() > 0.95
    assert (a[on_body] != 0).any()


def test_features_without_the_division_would_change():
    near, far = body_at(1.0), body_at(2.0)
    offsets = draw_offsets(300, 60.0, np.random.default_rng(3))

    a = depth_differences(near, np.array([84 * 120 + 60]), offsets)[:, 0]
    b = depth_differences(far, np.array([72 * 120 + 60]), offsets * 2)[:, 0]  # as many pixels as in the near image

    assert (np.abs(a - b) > 2).mean() > 0.1


def test_offsets_lie_within_reach_and_every_other_feature_compares_with_the_pixel_itself():
    offsets = draw_offsets(100, 7.0, np.random.default_rng(1))

    assert offsets.shape == (100, 2, 2)
    assert np.abs(offsets).max() <= 7
    assert np.abs(offsets).max() > 6
    assert not offsets[1::2, 1].any()
    assert offsets[::2, 1].all()


def test_zero_negative_and_infinite_depths_are_no_measurements():
    assert measured(np.array([0.0, -1.0, np.inf, np.nan, 0.001], np.float32)).tolist() == [False] * 4 + [True]
