"""Integral images and Haar-like features have the numbers of the paper, of the notes and of other libraries."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.feature import haar_like_feature_coord

from mlcvbench_viola_jones.features import every_feature, integral, look_ups, spread, window_integrals


@pytest.fixture(scope="module")
def patches():
    return np.random.default_rng(0).integers(0, 256, (5, 24, 24), dtype=np.uint8)


def test_a_window_of_24_pixels_has_162336_features_of_five_kinds():
    features = every_feature(24, 24)
    kinds = {"type-2-x": 43_200, "type-2-y": 43_200, "type-3-x": 27_600, "type-3-y": 27_600, "type-4": 20_736}

    assert len(features) == sum(kinds.values()) == 162_336
    assert len(np.unique(features.boxes.reshape(len(features), -1), axis=0)) == 162_336
    counts = [len(haar_like_feature_coord(width=24, height=24, feature_type=kind)[0]) for kind in kinds]
    assert counts == list(kinds.values())


def test_the_wholes_are_the_areas_that_scikit_image_lists():
    coordinates, _ = haar_like_feature_coord(width=6, height=5)

    theirs = sorted(
        (min(c[0][1] for c in one), min(c[0][0] for c in one), max(c[1][1] for c in one), max(c[1][0] for c in one))
        for one in coordinates
    )

    whole = every_feature(6, 5).boxes[:, 0]
    ours = sorted((x, y, x + w - 1, y + h - 1) for x, y, w, h in whole.tolist())
    assert ours == theirs


def test_the_integral_of_the_notes_has_28_and_37_at_its_ends():
    # The notes print 27 and 36 (erratum E34).
    image = np.array([[1, 5, 2, 4], [7, 1, 5, 3], [2, 1, 3, 3]])

    table = integral(image)

    assert table[2, 1:].tolist() == [8, 14, 21, 28]
    assert table[3, 1:].tolist() == [10, 17, 27, 37]


def test_integrals_are_opencvs(patches):
    np.testing.assert_array_equal(integral(patches[0]), cv2.integral(patches[0]))


def test_features_are_the_sums_over_their_rectangles(patches):
    features = every_feature(24, 24)
    some = features.take(np.random.default_rng(1).choice(len(features), 400, replace=False))
    integrals, _ = window_integrals(patches)

    values = look_ups(some, 24, 24) @ integrals

    for row, (boxes, weights) in enumerate(zip(some.boxes, some.weights, strict=True)):
        by_hand = sum(
            weight * patches[:, y : y + h, x : x + w].sum(axis=(1, 2), dtype=np.int64)
            for (x, y, w, h), weight in zip(boxes, weights, strict=True)
        )
        np.testing.assert_array_equal(values[row], by_hand)


def test_no_feature_sees_an_even_grey_and_none_the_strength_of_the_light(patches):
    features = every_feature(24, 24)
    some = look_ups(features.take(np.arange(0, len(features), 97)), 24, 24)
    dim, bright = (np.uint8(40) + patches // np.uint8(4) * np.uint8(k) for k in (1, 2))

    (grey, _), (one, factor), (other, twice) = map(window_integrals, (np.full_like(patches, 77), dim, bright))

    assert not (some @ grey).any()
    np.testing.assert_allclose(some @ other * twice, some @ one * factor, rtol=1e-4, atol=1e-5)


def test_a_row_looks_up_six_eight_or_nine_corners():
    features = every_feature(24, 24)

    corners = np.diff(look_ups(features, 24, 24).indptr)

    assert [np.unique(part).tolist() for part in np.split(corners, [86_400, 141_600])] == [[6], [8], [9]]


def test_the_spread_is_that_of_the_inner_pixels_and_nothing_divides_by_zero(patches):
    _, factor = window_integrals(patches)

    inner = patches[:, 1:-1, 1:-1].reshape(len(patches), -1)
    np.testing.assert_allclose(factor, 1 / (22 * 22 * inner.std(axis=1)), rtol=1e-6)
    assert window_integrals(np.full((1, 24, 24), 9, np.uint8))[1].tolist() == [0]
    assert spread(np.array([10]), np.array([100]), 1, 1).tolist() == [0]
