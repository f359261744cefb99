"""Regions of selective search: sizes, boxes, neighbours and histograms, and the four similarities by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mlcvbench_rcnn.regions import (
    colour_bins,
    filling,
    overlap_of_histograms,
    regions_of,
    small_first,
    texture_bins,
    union_of_boxes,
)

LABELS = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 2, 1]])
"""An image of three regions: a square, a hook and a bar."""


@pytest.fixture
def regions():
    """Return the regions of a picture that is black, white and grey."""
    image = np.array([0, 255, 100], dtype=np.uint8)[LABELS][:, :, None]
    return regions_of(LABELS, colour_bins(image), texture_bins(image))


def test_regions_are_measured(regions):
    assert regions.sizes.tolist() == [4, 5, 3]
    assert regions.boxes.tolist() == [[0, 0, 2, 2], [2, 0, 4, 3], [0, 2, 3, 3]]
    assert regions.pairs.tolist() == [[0, 1], [0, 2], [1, 2]]


def test_regions_that_touch_at_a_corner_are_neighbours():
    labels = np.array([[0, 1], [2, 3]])
    bins = np.zeros((2, 2, 1), dtype=np.int64)

    assert regions_of(labels, bins, bins).pairs.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]


def test_a_colour_channel_has_25_bins(regions):
    assert regions.colour.shape == (3, 25)
    assert regions.colour.argmax(axis=1).tolist() == [0, 24, 9]
    assert (regions.colour.max(axis=1) == 1).all()


def test_a_channel_has_ten_bins_in_each_of_eight_directions_and_all_shares_sum_to_1(regions):
    assert regions.texture.shape == (3, 80)
    assert regions.texture.sum(axis=1) == pytest.approx(1)
    assert regions.texture.reshape(3, 8, 10).sum(axis=2) == pytest.approx(1 / 8)


@pytest.mark.parametrize("quarters", range(4))
def test_what_rises_to_one_side_is_in_the_last_bin_of_that_direction_only(quarters):
    edge = np.zeros((21, 21), dtype=np.uint8)
    edge[:, 11:] = 200
    turned = np.rot90(edge, -quarters)  # what rose to the right rises downwards, then to the left, then upwards

    bins = texture_bins(turned[:, :, None])[10, 10] - 10 * np.arange(8)

    assert np.flatnonzero(bins == 9).tolist() == [[0], [1], [4], [5]][quarters]
    assert (np.sort(bins)[:3] == 0).all()


def test_without_any_edge_all_is_in_the_first_bin():
    bins = texture_bins(np.full((5, 6, 3), 7, dtype=np.uint8))

    assert (bins == 10 * np.arange(24)).all()


def test_similarities_are_those_of_the_formulas(regions):
    one, other = regions.boxes[0], regions.boxes[1:]

    assert overlap_of_histograms(np.array([0.2, 0.5, 0.3]), np.array([[0.6, 0.1, 0.3]])).tolist() == [
        pytest.approx(0.2 + 0.1 + 0.3)
    ]
    assert small_first(4.0, regions.sizes[1:], 12.0) == pytest.approx([1 - 9 / 12, 1 - 7 / 12])
    assert union_of_boxes(one, other).tolist() == [[0, 0, 4, 3], [0, 0, 3, 3]]
    assert filling(np.array([9.0, 7.0]), union_of_boxes(one, other), 12.0) == pytest.approx([1 - 3 / 12, 1 - 2 / 12])
